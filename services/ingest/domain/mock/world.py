"""Everything that happened in the market, before any system wrote it down."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from services.ingest.domain.mock.arrays import numbered, random_stream, salesforce_ids
from services.ingest.domain.mock.audience import Audience
from services.ingest.domain.mock.campaigns import Campaigns, build_campaigns
from services.ingest.domain.mock.crm import Contacts, build_contacts
from services.ingest.domain.mock.hubspot_deals import HubspotDeals, build_hubspot_deals, own_deals
from services.ingest.domain.mock.leads import Leads, build_leads
from services.ingest.domain.mock.market import Market, build_market
from services.ingest.domain.mock.merges import Merged, draw_merged
from services.ingest.domain.mock.opportunities import Deals, build_deals
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import People, build_people


@dataclass(frozen=True)
class World:
    """`deals` are Salesforce's; `own_deals` those that HubSpot alone has."""

    options: MockOptions
    horizon: np.datetime64
    people: People
    market: Market
    deals: Deals
    contacts: Contacts
    audience: Audience
    hubspot: HubspotDeals
    own_deals: Deals
    leads: Leads
    campaigns: Campaigns
    merged_companies: Merged
    merged_accounts: Merged
    merged_contacts: Merged
    merged_salesforce_contacts: Merged
    merged_leads: Merged
    merged_deals: Merged


def build_world(options: MockOptions, as_of: date) -> World:
    """The market until `as_of` 00:00 UTC."""
    horizon = np.datetime64(as_of, "ms")
    people = build_people(options.seed)
    market = build_market(options, horizon, people)
    deals = build_deals(options, market, horizon)
    contacts = build_contacts(options, market, horizon, people)
    hubspot = build_hubspot_deals(options, market, deals, horizon)
    leads = build_leads(options, market, contacts, horizon)
    return World(
        options=options,
        horizon=horizon,
        people=people,
        market=market,
        deals=deals,
        contacts=contacts,
        audience=Audience(options, market, deals, contacts, horizon),
        hubspot=hubspot,
        own_deals=own_deals(hubspot),
        leads=leads,
        campaigns=build_campaigns(options, horizon),
        **_draw_merges(options.seed, market, contacts, leads, hubspot, horizon),
    )


def _draw_merges(
    seed: int, market: Market, contacts: Contacts, leads: Leads, hubspot: HubspotDeals, horizon: np.datetime64
) -> dict[str, Merged]:
    """What was merged into each kind of record. The ids that are gone are of ranges of their own."""
    salesforce = {
        "merged_accounts": ("001F", market.salesforce_id, market.created),
        "merged_salesforce_contacts": ("003F", contacts.salesforce_id, contacts.created),
        "merged_leads": ("00QF", leads.id, leads.created),
    }
    hubspot_ids = {
        "merged_companies": (9_000_000_000, market.hubspot_id, market.created),
        "merged_contacts": (5_100_000_000, contacts.hubspot_id, contacts.created),
        "merged_deals": (7_600_000_000, hubspot.deals.id, hubspot.deals.created),
    }
    merged = {}
    for path, (name, (prefix, ids, since)) in enumerate(salesforce.items()):
        number = np.arange(1, len(ids) + 1, dtype=np.int64)
        gone = (salesforce_ids(f"{prefix}n", number), salesforce_ids(f"{prefix}p", number))
        merged[name] = draw_merged(random_stream(seed, 11, path), ids, gone, since, horizon)
    for path, (name, (base, ids, since)) in enumerate(hubspot_ids.items(), start=len(salesforce)):
        number = base + np.arange(1, len(ids) + 1, dtype=np.int64) * 2
        gone = (numbered("", number, 10), numbered("", number + 1, 10))
        merged[name] = draw_merged(random_stream(seed, 11, path), ids, gone, since, horizon)
    return merged
