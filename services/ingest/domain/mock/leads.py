"""Salesforce leads: people before a company is known, some of them already, or by now, contacts."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Ints,
    Moments,
    Texts,
    are_known,
    flag_texts,
    moments_between,
    numbered,
    objects,
    only_where,
    pick,
    random_stream,
    salesforce_ids,
    shorten_some,
    to_iso,
)
from services.ingest.domain.mock.crm import SALESFORCE_INDUSTRIES, Contacts
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import JOB_TITLES, People

# docs/mock-source.md names these.
CONVERTED: Final = 0.35
KNOWN_ANYWAY: Final = 0.15
STRANGERS_PER_COMPANY: Final = 0.5

_OPEN_STATUSES: Final = objects(["Open - Not Contacted", "Working - Contacted", "Nurturing", "Unqualified"])
_SOURCES: Final = objects(["Web", "Trade Show", "Webinar", "Purchased List", None])


@dataclass(frozen=True)
class Leads:
    """One entry per lead in every array. `person` is the contact that the lead is or became, -1 for a stranger."""

    id: Texts
    person: Ints
    converted: Flags
    created: Moments
    converted_at: Moments


def build_leads(options: MockOptions, market: Market, contacts: Contacts, horizon: np.datetime64) -> Leads:
    """A third of Salesforce's contacts were leads once; other leads are at companies that neither CRM knows."""
    rng = random_stream(options.seed, 17)
    converted = np.flatnonzero(contacts.in_salesforce & (rng.random(len(contacts.account)) < CONVERTED))
    known = np.flatnonzero(~contacts.in_salesforce & (rng.random(len(contacts.account)) < KNOWN_ANYWAY))
    strangers = np.full(1 + int(len(market.fit) * STRANGERS_PER_COMPANY), -1)
    person = np.concatenate([converted, known, strangers])
    count = len(person)
    start = np.full(count, horizon - np.timedelta64(options.history_days, "D"))
    # A contact is made by the conversion.
    became = np.where(person >= 0, contacts.created[person], horizon)
    converted_at = np.where(np.arange(count) < len(converted), became, horizon)
    created = np.where(
        np.arange(count) < len(converted),
        converted_at - (1 + rng.random(count) * 60 * 86_400_000).astype("timedelta64[ms]"),
        moments_between(rng, start, np.full(count, horizon)),
    )
    return Leads(
        id=salesforce_ids("00QFm", np.arange(1, count + 1, dtype=np.int64)),
        person=person,
        converted=np.arange(count) < len(converted),
        created=created,
        converted_at=converted_at,
    )


def to_leads(
    options: MockOptions,
    market: Market,
    contacts: Contacts,
    deals: Deals,
    leads: Leads,
    people: People,
    horizon: np.datetime64,
) -> dict[str, Texts]:
    """Rows of `salesforce_leads`."""
    rng = random_stream(options.seed, 17, 1)
    count = len(leads.id)
    changed = np.where(
        leads.converted, leads.converted_at, moments_between(rng, leads.created, np.full(count, horizon))
    )
    return {
        "id": leads.id,
        **_describe(rng, market, contacts, leads, people),
        "status": np.where(leads.converted, "Qualified", pick(rng, _OPEN_STATUSES, count)).astype(object),
        "lead_source": pick(rng, _SOURCES, count),
        "is_converted": flag_texts(leads.converted),
        **_conversions(rng, market, contacts, deals, leads),
        "owner_id": salesforce_ids("005Fm", rng.integers(1, 12, count)),
        "created_date": to_iso(leads.created, "+0000"),
        "system_modstamp": to_iso(changed, "+0000"),
    }


def link_leads(options: MockOptions, contacts: Contacts, leads: Leads) -> Texts:
    """Per contact the id of its lead as HubSpot has it: half of those that are no contact of Salesforce yet."""
    rng = random_stream(options.seed, 26)
    linked = (leads.person >= 0) & ~leads.converted & (rng.random(len(leads.id)) < 0.5)
    ids = objects([None] * len(contacts.account))
    ids[leads.person[linked]] = shorten_some(rng, leads.id[linked], 0.2)
    return ids


def _describe(
    rng: np.random.Generator, market: Market, contacts: Contacts, leads: Leads, people: People
) -> dict[str, Texts]:
    """Who the lead is and where: as the contact says, else made up."""
    count = len(leads.id)
    known, person = leads.person >= 0, leads.person
    account = contacts.account[person]
    first, last = pick(rng, people.first_names, count), pick(rng, people.last_names, count)
    company = numbered("Prospect ", np.arange(1, count + 1, dtype=np.int64), 5, " Transport")
    domain = numbered("prospect-", np.arange(1, count + 1, dtype=np.int64), 5, ".example")
    mailbox = objects([f"{a}.{b}@".lower().replace(" ", "").replace("'", "") for a, b in zip(first, last)])
    vehicles = np.exp(2.5 + 0.9 * rng.standard_normal(count)).astype(np.int64) + 1

    def choose(of_contact: Texts, of_stranger: Texts) -> Texts:
        return np.where(known, of_contact, of_stranger).astype(object)

    return {
        "email": choose(contacts.email[person], mailbox + domain),
        "first_name": choose(contacts.first_name[person], first),
        "last_name": choose(contacts.last_name[person], last),
        "company": choose(market.name[account], company),
        "title": choose(contacts.title[person], pick(rng, objects(list(JOB_TITLES)), count)),
        "phone": only_where(rng.random(count) < 0.6, contacts.phone[person]),
        "website": only_where(rng.random(count) < 0.7, choose(market.domain[account], domain)),
        "country": choose(market.country[account], pick(rng, market.country, count)),
        "industry": objects([SALESFORCE_INDUSTRIES[name] for name in market.industry[account]]),
        "number_of_employees": np.where(known, market.employees[account], vehicles * 4).astype(str).astype(object),
        "annual_revenue": objects([f"{amount}.00" for amount in (vehicles * 400_000).tolist()]),
    }


def _conversions(
    rng: np.random.Generator, market: Market, contacts: Contacts, deals: Deals, leads: Leads
) -> dict[str, Texts]:
    """What a lead became. The opportunity is the company's first; one reference in five has 15 characters."""
    account = contacts.account[leads.person]
    opportunity = objects([None] * len(market.fit))
    opportunity[deals.account[deals.is_first]] = deals.id[deals.is_first]
    at_buyer = leads.converted & are_known(opportunity[account]) & (rng.random(len(account)) < 0.6)
    return {
        "converted_date": only_where(leads.converted, to_iso(leads.converted_at, "+0000")),
        "converted_account_id": _references(rng, leads.converted, market.salesforce_id[account]),
        "converted_contact_id": _references(rng, leads.converted, contacts.salesforce_id[leads.person]),
        "converted_opportunity_id": _references(rng, at_buyer, opportunity[account]),
    }


def _references(rng: np.random.Generator, kept: Flags, ids: Texts) -> Texts:
    return shorten_some(rng, only_where(kept, ids), 0.2)
