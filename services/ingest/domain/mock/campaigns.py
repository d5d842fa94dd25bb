"""Salesforce campaigns, who was in them, and what salespeople did: events, webinars and tasks."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Floats,
    Ints,
    Moments,
    Texts,
    days,
    flag_texts,
    moments_between,
    objects,
    only_where,
    pick,
    random_stream,
    salesforce_ids,
    shorten_some,
    to_dates,
    to_iso,
)
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.hubspot_deals import people_of
from services.ingest.domain.mock.leads import Leads
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions

# docs/mock-source.md names these. type -> (days that it lasts, cost of a day in US dollars)
_TYPES: Final[dict[str, tuple[int, int]]] = {"Webinar": (1, 1_500), "Trade Show": (3, 14_000), "Email": (14, 90)}
MEMBERS_PER_PERSON: Final = 0.5
ATTENDS_INTENT: Final = 0.7

_SUBJECTS: Final = objects(["Discovery call", "Send proposal", "Demo follow-up", "Check in", "Negotiate & close"])


@dataclass(frozen=True)
class Campaigns:
    """One entry per campaign in every array, oldest first."""

    id: Texts
    kind: Texts
    start: Moments
    end: Moments
    cost: Floats


def build_campaigns(options: MockOptions, horizon: np.datetime64) -> Campaigns:
    """Two a month, of three kinds in turn."""
    rng = random_stream(options.seed, 18)
    count = max(2, options.history_days // 15)
    kind = objects([list(_TYPES)[n % len(_TYPES)] for n in range(count)])
    start = horizon - days(np.sort(rng.random(count))[::-1] * (options.history_days - 1) + 1)
    length = np.array([_TYPES[name][0] for name in kind])
    daily = np.array([_TYPES[name][1] for name in kind])
    cost = np.round(length * daily * (0.7 + 0.6 * rng.random(count)), 2)
    ids = salesforce_ids("701Fm", np.arange(1, count + 1, dtype=np.int64))
    return Campaigns(ids, kind, start, start + days(length.astype(float)), cost)


def to_campaigns(options: MockOptions, campaigns: Campaigns, horizon: np.datetime64) -> dict[str, Texts]:
    """Rows of `salesforce_campaigns`. What one costs is known when it is over."""
    over = campaigns.end < horizon
    created = campaigns.start - np.timedelta64(30, "D")
    names = zip(campaigns.kind.tolist(), to_dates(campaigns.start).tolist())
    return {
        "id": campaigns.id,
        "name": objects([f"{kind} {day}" for kind, day in names]),
        "type": campaigns.kind,
        "status": np.where(over, "Completed", "In Progress").astype(object),
        "start_date": to_dates(campaigns.start),
        "end_date": to_dates(campaigns.end),
        "budgeted_cost": objects([f"{cost:.0f}.00" for cost in np.round(campaigns.cost, -3).tolist()]),
        "actual_cost": only_where(over, objects([f"{cost:.2f}" for cost in campaigns.cost.tolist()])),
        "currency_iso_code": objects([options.currencies[0]] * len(campaigns.id)),
        "is_active": flag_texts(~over),
        "created_date": to_iso(created, "+0000"),
        "system_modstamp": to_iso(np.minimum(campaigns.end, horizon - np.timedelta64(1, "h")), "+0000"),
    }


def to_campaign_members(
    options: MockOptions,
    market: Market,
    contacts: Contacts,
    leads: Leads,
    campaigns: Campaigns,
    horizon: np.datetime64,
) -> dict[str, Texts]:
    """Rows of `salesforce_campaign_members`: contacts, leads, and leads that became contacts with both ids."""
    rng = random_stream(options.seed, 19)
    contact = np.flatnonzero(contacts.in_salesforce)
    lead_of = np.full(len(contacts.account), -1)
    lead_of[leads.person[leads.converted]] = np.flatnonzero(leads.converted)
    open_leads = np.flatnonzero(~leads.converted)
    person = np.append(contact, np.full(len(open_leads), -1))
    lead = np.append(lead_of[contact], open_leads)
    of_person, campaign = _draw_pairs(rng, len(person), len(campaigns.id))
    person, lead = person[of_person], lead[of_person]
    who = np.where(person >= 0, person, leads.person[lead])
    intent = np.where(who >= 0, market.intent[contacts.account[who]], 0.0)
    came = rng.random(len(who)) < 1 / (1 + np.exp(0.6 - ATTENDS_INTENT * intent))
    started, ended = campaigns.start[campaign], np.minimum(campaigns.end[campaign], horizon)
    responded = moments_between(rng, started, ended)
    invited = started - np.timedelta64(20, "D")
    words = np.where(campaigns.kind[campaign] == "Email", "Responded", "Attended")
    return {
        "id": salesforce_ids("00vFm", np.arange(1, len(who) + 1, dtype=np.int64)),
        "campaign_id": campaigns.id[campaign],
        "lead_id": only_where(lead >= 0, leads.id[lead]),
        "contact_id": shorten_some(rng, only_where(person >= 0, contacts.salesforce_id[person]), 0.2),
        "status": np.where(came, words, pick(rng, objects(["Sent", "Registered"]), len(who))).astype(object),
        "has_responded": flag_texts(came),
        "first_responded_date": only_where(came, to_dates(responded)),
        "created_date": to_iso(invited, "+0000"),
        "system_modstamp": to_iso(np.where(came, responded, started), "+0000"),
    }


def _draw_pairs(rng: np.random.Generator, people: int, campaigns: int) -> tuple[Ints, Ints]:
    """Person and campaign, no pair twice."""
    drawn = np.unique(rng.integers(0, max(people, 1) * campaigns, int(people * MEMBERS_PER_PERSON)))
    return drawn // campaigns, drawn % campaigns


def to_tasks(
    options: MockOptions, market: Market, contacts: Contacts, deals: Deals, horizon: np.datetime64
) -> dict[str, Texts]:
    """Rows of `salesforce_tasks`: one to five per opportunity, while it is open."""
    rng = random_stream(options.seed, 20)
    deal = np.repeat(np.arange(len(deals.id)), 1 + rng.integers(0, 5, len(deals.id)))
    count = len(deal)
    created = moments_between(rng, deals.created[deal], np.minimum(deals.closes[deal], horizon))
    due = created + days(1 + rng.random(count) * 10)
    done = due + days(rng.random(count) * 3)
    closed = (done < horizon) & (rng.random(count) < 0.85)
    return {
        "id": salesforce_ids("00TFm", np.arange(1, count + 1, dtype=np.int64)),
        "account_id": deals.account_id[deal],
        "what_id": shorten_some(rng, deals.id[deal], 0.2),
        "who_id": _first_contacts(contacts, deals.account)[deal],
        "owner_id": salesforce_ids("005Fm", rng.integers(1, 12, count)),
        "subject": pick(rng, _SUBJECTS, count),
        "type": pick(rng, objects(["Call", "Email", "Meeting", None]), count),
        "status": np.where(closed, "Completed", "Not Started").astype(object),
        "is_closed": flag_texts(closed),
        "activity_date": to_dates(due),
        "completed_date_time": only_where(closed, to_iso(done, "+0000")),
        "created_date": to_iso(created, "+0000"),
        "system_modstamp": to_iso(np.where(closed, done, created), "+0000"),
    }


def _first_contacts(contacts: Contacts, account: Ints) -> Texts:
    """Per account the id of its first contact in Salesforce, None where there is none."""
    ids = objects([None] * len(account))
    position, person = people_of(account, contacts)
    there = contacts.in_salesforce[person]
    ids[position[there][::-1]] = contacts.salesforce_id[person[there][::-1]]
    return ids
