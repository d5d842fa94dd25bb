"""HubSpot's deals: copies of Salesforce's opportunities, and those of companies that Salesforce doesn't know."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Ints,
    Texts,
    are_known,
    flag_texts,
    numbered,
    objects,
    only_where,
    random_stream,
    shorten_some,
    sigmoid,
    to_iso,
)
from services.ingest.domain.mock.crm import Contacts
from services.ingest.domain.mock.market import OPPORTUNITY_FIT, OPPORTUNITY_INTENT, Market
from services.ingest.domain.mock.merges import Merged
from services.ingest.domain.mock.opportunities import Deals, deal_names, draw_deals, reached, to_stages
from services.ingest.domain.mock.options import MockOptions

HUBSPOT_ONLY_BASE: Final = -0.4

# Ids as HubSpot gives them: words in the pipeline that every portal has, numbers in those that people add.
_PIPELINES: Final = {
    "default": (
        "appointmentscheduled",
        "qualifiedtobuy",
        "presentationscheduled",
        "contractsent",
        "closedlost",
        "closedwon",
    ),
    "58100010": ("58100011", "58100012", "58100013", "58100014", "58100016", "58100015"),
}
_LABELS: Final = ("Appointment scheduled", "Qualified", "Proposal sent", "Negotiation", "Closed lost", "Closed won")
_PROBABILITIES: Final = ("0.1", "0.25", "0.5", "0.75", "0.0", "1.0")


@dataclass(frozen=True)
class HubspotDeals:
    """`deals` has HubSpot's ids; the others are one entry per deal."""

    deals: Deals
    opportunity_id: Texts
    """The copied opportunity; None: HubSpot's own deal."""
    names_company: Flags
    """The deal itself names its company. Else the association does, or only the people in it tell."""


def build_hubspot_deals(options: MockOptions, market: Market, deals: Deals, horizon: np.datetime64) -> HubspotDeals:
    """Half of the opportunities whose company HubSpot knows, then its own."""
    rng = random_stream(options.seed, 12)
    copied = market.in_hubspot[deals.account] & (rng.random(len(deals.id)) < 0.5)
    odds = HUBSPOT_ONLY_BASE + OPPORTUNITY_FIT * market.fit + OPPORTUNITY_INTENT * market.intent
    buys = market.in_hubspot & ~market.in_salesforce & (rng.random(len(odds)) < sigmoid(odds))
    account = np.flatnonzero(buys)
    own = draw_deals(rng, options, market, account, objects([None] * len(account)), horizon)
    of_both = {name: np.append(getattr(deals, name)[copied], getattr(own, name)) for name in vars(own)}
    count = len(of_both["id"])
    links = shorten_some(rng, of_both["id"], 0.3)
    ids = numbered("", 7_700_000_000 + np.arange(1, count + 1, dtype=np.int64) * 11, 10)
    return HubspotDeals(replace(Deals(**of_both), id=ids), links, rng.random(count) < 0.8)


def own_deals(hubspot: HubspotDeals) -> Deals:
    """Those that Salesforce doesn't have."""
    own = ~are_known(hubspot.opportunity_id)
    return Deals(**{name: values[own] for name, values in vars(hubspot.deals).items()})


def to_hubspot_deals(options: MockOptions, market: Market, hubspot: HubspotDeals) -> dict[str, Texts]:
    """Rows of `hubspot_deals`; three in ten leave it to their stage whether they are closed and won."""
    rng = random_stream(options.seed, 13)
    deals = hubspot.deals
    count = len(deals.id)
    says = rng.random(count) < 0.7
    return {
        "id": deals.id,
        "dealname": deal_names(market, deals),
        "amount": deals.amount.astype(str).astype(object),
        "deal_currency_code": market.currency[deals.account],
        "pipeline": np.where(deals.is_first, *_PIPELINES).astype(object),
        "dealstage": _stage_ids(deals, deals.stage, deals.won),
        "hs_is_closed": only_where(says, flag_texts(deals.closed)),
        "hs_is_closed_won": only_where(says, flag_texts(deals.won)),
        "company_id": only_where(hubspot.names_company, market.hubspot_id[deals.account]),
        "owner_id": numbered("", 41_000_000 + rng.integers(1, 12, count), 8),
        "closedate": to_iso(deals.closes, "Z"),
        "createdate": to_iso(deals.created, "Z"),
        "hs_lastmodifieddate": to_iso(reached(deals, deals.stage), "Z"),
        "dealtype": np.where(deals.is_first, "newbusiness", "existingbusiness").astype(object),
        "salesforce_opportunity_id": hubspot.opportunity_id,
    }


def to_stage_history(hubspot: HubspotDeals) -> dict[str, Texts]:
    """Rows of `hubspot_deal_stage_history`: one per stage that a deal has reached."""
    deals, stage = to_stages(hubspot.deals)
    return {
        "deal_id": deals.id,
        "stage_id": _stage_ids(deals, stage, deals.won & (stage == 4)),
        "entered_at": to_iso(reached(deals, stage), "Z"),
    }


def to_pipeline_stages() -> dict[str, Texts]:
    """Rows of `hubspot_pipeline_stages`: two pipelines of six stages."""
    order = ("0", "1", "2", "3", "5", "4")
    return {
        "id": objects([stage for stages in _PIPELINES.values() for stage in stages]),
        "pipeline_id": objects([pipeline for pipeline, stages in _PIPELINES.items() for _ in stages]),
        "label": objects([*_LABELS, *(f"{label} (expansion)" for label in _LABELS)]),
        "is_closed": objects(["false", "false", "false", "false", "true", "true"] * 2),
        "closed_won": objects(["false", "false", "false", "false", "false", "true"] * 2),
        "probability": objects([*_PROBABILITIES] * 2),
        "display_order": objects([*order] * 2),
    }


def to_deal_companies(options: MockOptions, market: Market, hubspot: HubspotDeals, merged: Merged) -> dict[str, Texts]:
    """Rows of `hubspot_deal_companies`: nearly all deals; one in twenty also names a company that helps to sell."""
    rng = random_stream(options.seed, 14, 1)
    deals = hubspot.deals
    main = np.flatnonzero(hubspot.names_company | (rng.random(len(deals.id)) < 0.8))
    partner = np.flatnonzero(hubspot.names_company & (rng.random(len(deals.id)) < 0.05))
    known = np.flatnonzero(market.in_hubspot)
    helper = known[rng.integers(0, max(len(known), 1), len(partner))] if len(known) else known
    other = helper != deals.account[partner]
    companies = merged.named_instead(rng, 0.5)
    return {
        "deal_id": np.append(deals.id[main], deals.id[partner[other]]),
        "company_id": np.append(companies[deals.account[main]], market.hubspot_id[helper[other]]),
    }


def to_deal_contacts(
    options: MockOptions, hubspot: HubspotDeals, contacts: Contacts, merged: Merged
) -> dict[str, Texts]:
    """Rows of `hubspot_deal_contacts`: seven in ten of the company's people."""
    rng = random_stream(options.seed, 14, 2)
    deal, person = people_of(hubspot.deals.account, contacts)
    chosen = rng.random(len(person)) < 0.7
    return {
        "deal_id": hubspot.deals.id[deal[chosen]],
        "contact_id": merged.named_instead(rng, 0.5)[person[chosen]],
    }


def people_of(account: Ints, contacts: Contacts) -> tuple[Ints, Ints]:
    """For each company in `account` all of its people: positions in `account`, and in `contacts`."""
    first = np.searchsorted(contacts.account, account)
    count = np.searchsorted(contacts.account, account, side="right") - first
    position = np.repeat(np.arange(len(account)), count)
    within = np.arange(len(position)) - np.repeat(np.cumsum(count) - count, count)
    return position, first[position] + within


def _stage_ids(deals: Deals, stage: Ints, won: Flags) -> Texts:
    first, later = (objects([*stages])[stage + won] for stages in _PIPELINES.values())
    return np.where(deals.is_first, first, later).astype(object)
