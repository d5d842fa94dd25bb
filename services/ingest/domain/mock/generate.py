"""The generated systems, table after table, as the batches that landing takes."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

import pyarrow as pa

from services.ingest.domain.batches import build_batch
from services.ingest.domain.mock import billing, campaigns, crm, hubspot_deals, leads, marketing, opportunities
from services.ingest.domain.mock.arrays import Texts, random_stream
from services.ingest.domain.mock.dirt import spoil
from services.ingest.domain.mock.dirt_places import PLACES
from services.ingest.domain.mock.merges import add_hubspot_remains, add_salesforce_remains
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.rows import Rows, kept_rows
from services.ingest.domain.mock.visits import iterate_visits
from services.ingest.domain.mock.world import World, build_world

MOCK_TABLES: Final = tuple(PLACES)


def generate_tables(options: MockOptions, as_of: date) -> Iterator[tuple[str, pa.Table]]:
    """Chunks of RAW tables; all of one table come together. Everything happened before `as_of` 00:00 UTC."""
    world = build_world(options, as_of)
    tables = {
        **_companies_and_people(world),
        **_opportunities(world),
        **_hubspot_deals(world),
        **_marketing(world),
        **_leads_and_campaigns(world),
    }
    # A table's number names its random stream: a new table goes to the end of PLACES.
    for number, table in enumerate(PLACES):
        for chunk, rows in enumerate(tables[table]):
            rng = random_stream(options.seed, 9, number, chunk)
            yield table, _to_arrow(table, spoil(table, rows, options.dirt, rng))


def _companies_and_people(world: World) -> dict[str, Iterable[Rows]]:
    options, market, contacts = world.options, world.market, world.contacts
    all_deals = [world.deals, world.own_deals]
    companies = crm.to_hubspot_companies(options, market, all_deals, world.merged_accounts, world.horizon)
    accounts = crm.to_salesforce_accounts(options, market, world.deals, world.merged_companies, world.horizon)
    lead_ids = leads.link_leads(options, contacts, world.leads)
    people = crm.to_hubspot_contacts(options, market, contacts, world.merged_companies, lead_ids)
    salesforce_people = crm.to_salesforce_contacts(options, market, contacts)
    in_hubspot = market.in_hubspot[contacts.account]
    seed = world.options.seed
    return {
        "hubspot_companies": [
            add_hubspot_remains(random_stream(seed, 23, 1), companies, world.merged_companies.where(market.in_hubspot))
        ],
        "hubspot_contacts": [
            add_hubspot_remains(random_stream(seed, 23, 2), people, world.merged_contacts.where(in_hubspot))
        ],
        "hubspot_contact_merges": [kept_rows(world.merged_contacts.where(in_hubspot).to_audit())],
        "salesforce_accounts": [add_salesforce_remains(accounts, world.merged_accounts.where(market.in_salesforce))],
        "salesforce_contacts": [
            add_salesforce_remains(salesforce_people, world.merged_salesforce_contacts.where(contacts.in_salesforce))
        ],
    }


def _opportunities(world: World) -> dict[str, Iterable[Rows]]:
    options, market, deals = world.options, world.market, world.deals
    merged = world.merged_companies, world.merged_accounts
    return {
        "salesforce_opportunities": [
            kept_rows(opportunities.to_opportunities(options, market, deals, world.campaigns.id))
        ],
        "salesforce_opportunity_history": [kept_rows(opportunities.to_opportunity_history(deals))],
        "salesforce_tasks": [kept_rows(campaigns.to_tasks(options, market, world.contacts, deals, world.horizon))],
        "billing_subscriptions": [
            kept_rows(billing.to_subscriptions(options, market, deals, world.own_deals, *merged, world.horizon))
        ],
    }


def _hubspot_deals(world: World) -> dict[str, Iterable[Rows]]:
    options, market, hubspot = world.options, world.market, world.hubspot
    deals = hubspot_deals.to_hubspot_deals(options, market, hubspot)
    companies = hubspot_deals.to_deal_companies(options, market, hubspot, world.merged_companies)
    people = hubspot_deals.to_deal_contacts(options, hubspot, world.contacts, world.merged_contacts)
    return {
        "hubspot_pipeline_stages": [kept_rows(hubspot_deals.to_pipeline_stages())],
        "hubspot_deals": [add_hubspot_remains(random_stream(options.seed, 23, 3), deals, world.merged_deals)],
        "hubspot_deal_stage_history": [kept_rows(hubspot_deals.to_stage_history(hubspot))],
        "hubspot_deal_companies": [kept_rows(companies)],
        "hubspot_deal_contacts": [kept_rows(people)],
        "hubspot_deal_merges": [kept_rows(world.merged_deals.to_audit())],
    }


def _marketing(world: World) -> dict[str, Iterable[Rows]]:
    options, market, contacts = world.options, world.market, world.contacts
    visits = iterate_visits(options.seed, options.visits, market, contacts, world.audience)
    forms = marketing.iterate_form_submissions(options, world.audience, world.merged_contacts)
    events = marketing.iterate_email_events(options, market, contacts, world.horizon)
    return {
        "hubspot_web_visits": map(kept_rows, visits),
        "hubspot_form_submissions": map(kept_rows, forms),
        "hubspot_email_campaigns": [kept_rows(marketing.to_email_campaigns(options, world.horizon))],
        "hubspot_email_events": map(kept_rows, events),
    }


def _leads_and_campaigns(world: World) -> dict[str, Iterable[Rows]]:
    options, market, contacts, horizon = world.options, world.market, world.contacts, world.horizon
    some = leads.to_leads(options, market, contacts, world.deals, world.leads, world.people, horizon)
    members = campaigns.to_campaign_members(options, market, contacts, world.leads, world.campaigns, horizon)
    return {
        "salesforce_leads": [add_salesforce_remains(some, world.merged_leads)],
        "salesforce_campaigns": [kept_rows(campaigns.to_campaigns(options, world.campaigns, horizon))],
        "salesforce_campaign_members": [kept_rows(members)],
    }


def _to_arrow(table: str, rows: Rows) -> pa.Table:
    places = PLACES[table]
    arrays = {name: _to_text(values) for name, values in rows.columns.items()}
    return build_batch(
        table,
        arrays,
        key=[arrays[name] for name in places.key],
        updated_at=arrays[places.stamp] if places.stamp else None,
        is_deleted=pa.array(rows.deleted, pa.bool_()),
    )


def _to_text(values: Texts) -> pa.Array:
    return pa.array(values, pa.string(), from_pandas=False)
