"""The generated systems, table after table, as the batches that landing takes."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from typing import Final, TypeAlias

import pyarrow as pa

from services.ingest.domain.mock import billing, campaigns, crm, hubspot_deals, leads, marketing, opportunities
from services.ingest.domain.mock.arrays import random_stream
from services.ingest.domain.mock.chunks import in_order
from services.ingest.domain.mock.dirt import spoil
from services.ingest.domain.mock.dirt_places import PLACES
from services.ingest.domain.mock.merges import add_hubspot_remains, add_salesforce_remains
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.rows import Events, Rows, kept_rows
from services.ingest.domain.mock.visits import Visits, split_rows
from services.ingest.domain.mock.world import World, build_world

MOCK_TABLES: Final = tuple(PLACES)

_Maker: TypeAlias = Callable[[], Rows | Events]


def generate_tables(options: MockOptions, as_of: date) -> Iterator[tuple[str, pa.Table]]:
    """Chunks of RAW tables; all of one table come together. Everything happened before `as_of` 00:00 UTC."""
    world = build_world(options, as_of)
    makers = {
        **_companies_and_people(world),
        **_opportunities(world),
        **_hubspot_deals(world),
        **_marketing(world),
        **_leads_and_campaigns(world),
    }
    return in_order(
        partial(_make_chunk, options, table, chunk, maker)
        for table in MOCK_TABLES
        for chunk, maker in enumerate(makers[table])
    )


def _make_chunk(options: MockOptions, table: str, chunk: int, maker: _Maker) -> tuple[str, pa.Table]:
    # A table's number names its random stream: a new table goes to the end of PLACES.
    rng = random_stream(options.seed, 9, MOCK_TABLES.index(table), chunk)
    return table, spoil(table, maker().to_batch(table), options.dirt, rng)


def _companies_and_people(world: World) -> dict[str, Iterable[_Maker]]:
    options, market, contacts, seed = world.options, world.market, world.contacts, world.options.seed
    in_hubspot = market.in_hubspot[contacts.account]

    def build_companies() -> Rows:
        all_deals = [world.deals, world.own_deals]
        companies = crm.to_hubspot_companies(options, market, all_deals, world.merged_accounts, world.horizon)
        merged = world.merged_companies.where(market.in_hubspot)
        return add_hubspot_remains(random_stream(seed, 23, 1), companies, merged)

    def build_people() -> Rows:
        lead_ids = leads.link_leads(options, contacts, world.leads)
        people = crm.to_hubspot_contacts(options, market, contacts, world.merged_companies, lead_ids)
        return add_hubspot_remains(random_stream(seed, 23, 2), people, world.merged_contacts.where(in_hubspot))

    def build_accounts() -> Rows:
        accounts = crm.to_salesforce_accounts(options, market, world.deals, world.merged_companies, world.horizon)
        return add_salesforce_remains(accounts, world.merged_accounts.where(market.in_salesforce))

    def build_salesforce_people() -> Rows:
        people = crm.to_salesforce_contacts(options, market, contacts)
        return add_salesforce_remains(people, world.merged_salesforce_contacts.where(contacts.in_salesforce))

    return {
        "hubspot_companies": [build_companies],
        "hubspot_contacts": [build_people],
        "hubspot_contact_merges": [lambda: kept_rows(world.merged_contacts.where(in_hubspot).to_audit())],
        "salesforce_accounts": [build_accounts],
        "salesforce_contacts": [build_salesforce_people],
    }


def _opportunities(world: World) -> dict[str, Iterable[_Maker]]:
    options, market, deals = world.options, world.market, world.deals
    merged = world.merged_companies, world.merged_accounts
    own, contacts, horizon = world.own_deals, world.contacts, world.horizon
    return {
        "salesforce_opportunities": [
            lambda: kept_rows(opportunities.to_opportunities(options, market, deals, world.campaigns.id))
        ],
        "salesforce_opportunity_history": [lambda: kept_rows(opportunities.to_opportunity_history(deals))],
        "salesforce_tasks": [lambda: kept_rows(campaigns.to_tasks(options, market, contacts, deals, horizon))],
        "billing_subscriptions": [
            lambda: kept_rows(billing.to_subscriptions(options, market, deals, own, *merged, horizon))
        ],
    }


def _hubspot_deals(world: World) -> dict[str, Iterable[_Maker]]:
    options, market, hubspot, contacts = world.options, world.market, world.hubspot, world.contacts

    def build_deals() -> Rows:
        deals = hubspot_deals.to_hubspot_deals(options, market, hubspot)
        return add_hubspot_remains(random_stream(options.seed, 23, 3), deals, world.merged_deals)

    return {
        "hubspot_pipeline_stages": [lambda: kept_rows(hubspot_deals.to_pipeline_stages())],
        "hubspot_deals": [build_deals],
        "hubspot_deal_stage_history": [lambda: kept_rows(hubspot_deals.to_stage_history(hubspot))],
        "hubspot_deal_companies": [
            lambda: kept_rows(hubspot_deals.to_deal_companies(options, market, hubspot, world.merged_companies))
        ],
        "hubspot_deal_contacts": [
            lambda: kept_rows(hubspot_deals.to_deal_contacts(options, hubspot, contacts, world.merged_contacts))
        ],
        "hubspot_deal_merges": [lambda: kept_rows(world.merged_deals.to_audit())],
    }


def _marketing(world: World) -> dict[str, Iterable[_Maker]]:
    options, market, contacts, seed = world.options, world.market, world.contacts, world.options.seed
    visits = Visits(seed, market, contacts, world.audience)
    forms = marketing.FormSubmissions(seed, world.audience, world.merged_contacts)
    emails = marketing.EmailEvents(options, market, contacts, world.horizon)
    count = options.visits
    return {
        "hubspot_web_visits": _in_chunks(visits.build_chunk, split_rows(count)),
        "hubspot_form_submissions": _in_chunks(forms.build_chunk, split_rows(count // marketing.VISITS_PER_FORM)),
        "hubspot_email_campaigns": [lambda: kept_rows(marketing.to_email_campaigns(options, world.horizon))],
        "hubspot_email_events": _in_chunks(
            emails.build_chunk, split_rows(count // marketing.VISITS_PER_EMAIL, marketing.EMAIL_CHUNK_ROWS)
        ),
    }


def _in_chunks(build: Callable[[int, int], Events], chunks: Iterable[tuple[int, int]]) -> Iterator[_Maker]:
    return (partial(build, chunk, rows) for chunk, rows in chunks)


def _leads_and_campaigns(world: World) -> dict[str, Iterable[_Maker]]:
    options, market, contacts, horizon = world.options, world.market, world.contacts, world.horizon

    def build_leads() -> Rows:
        some = leads.to_leads(options, market, contacts, world.deals, world.leads, world.people, horizon)
        return add_salesforce_remains(some, world.merged_leads)

    def build_members() -> Rows:
        return kept_rows(
            campaigns.to_campaign_members(options, market, contacts, world.leads, world.campaigns, horizon)
        )

    return {
        "salesforce_leads": [build_leads],
        "salesforce_campaigns": [lambda: kept_rows(campaigns.to_campaigns(options, world.campaigns, horizon))],
        "salesforce_campaign_members": [build_members],
    }
