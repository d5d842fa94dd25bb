"""What the generator writes beside companies, people and visits: it must fit together across the systems."""

from collections import Counter
from datetime import date, datetime
from typing import Any

import pytest

from services.ingest.domain.mock.dirt_places import PLACES
from services.ingest.domain.mock.generate import MOCK_TABLES, generate_tables
from services.ingest.domain.mock.marketing import EMAIL_CHUNK_ROWS, EmailEvents
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.world import build_world

AS_OF = date(2026, 3, 1)
Row = dict[str, Any]


def generate(**options: Any) -> dict[str, list[Row]]:
    parts: dict[str, list[Row]] = {table: [] for table in MOCK_TABLES}
    for table, rows in generate_tables(MockOptions(**options), AS_OF):
        parts[table] += rows.to_pylist()
    return parts


@pytest.fixture(scope="module")
def clean() -> dict[str, list[Row]]:
    return generate(accounts=1200, visits=60_000, dirt=0)


def ids(rows: list[Row], column: str = "id") -> set[str]:
    return {row[column] for row in rows if row[column] is not None}


def full(id_: str) -> str:
    """A Salesforce id in 18 characters; these prefixes have capitals in the first five alone."""
    capitals = sum(1 << place for place, letter in enumerate(id_[:5]) if letter.isupper())
    return id_[:15] + "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[capitals] + "AA"


def test_nothing_happened_on_or_after_as_of(clean: dict[str, list[Row]]) -> None:
    planned = {"close_date", "closedate", "activity_date", "end_date"}
    for table, places in PLACES.items():
        for column in set(places.dates) - planned:
            assert max(ids(clean[table], column)) < "2026-03-01", (table, column)


def test_salesforce_ids_end_with_their_checksum(clean: dict[str, list[Row]]) -> None:
    for table in MOCK_TABLES:
        if table.startswith("salesforce_"):
            assert all(row["id"] == full(row["id"]) and len(row["id"]) == 18 for row in clean[table]), table


def test_references_lead_somewhere(clean: dict[str, list[Row]]) -> None:
    people, deals = ids(clean["hubspot_contacts"]), ids(clean["hubspot_deals"])
    merged = ids(clean["hubspot_contact_merges"], "merged_id")
    opportunities = ids(clean["salesforce_opportunities"])
    contacts, leads = ids(clean["salesforce_contacts"]), ids(clean["salesforce_leads"])
    for table, column, known in (
        ("hubspot_form_submissions", "contact_id", people | merged),
        ("hubspot_email_events", "email_campaign_id", ids(clean["hubspot_email_campaigns"])),
        ("hubspot_email_events", "recipient", ids(clean["hubspot_contacts"], "email")),
        ("hubspot_deal_contacts", "contact_id", people | merged),
        ("hubspot_deal_contacts", "deal_id", deals),
        ("hubspot_deal_companies", "deal_id", deals),
        ("hubspot_deal_stage_history", "deal_id", deals),
        ("hubspot_deal_stage_history", "stage_id", ids(clean["hubspot_pipeline_stages"])),
        ("hubspot_deals", "dealstage", ids(clean["hubspot_pipeline_stages"])),
        ("salesforce_campaign_members", "campaign_id", ids(clean["salesforce_campaigns"])),
        ("salesforce_campaign_members", "lead_id", leads),
    ):
        assert ids(clean[table], column) and ids(clean[table], column) <= known, (table, column)
    for table, column, known in (
        ("hubspot_deals", "salesforce_opportunity_id", opportunities),
        ("salesforce_leads", "converted_opportunity_id", opportunities),
        ("salesforce_leads", "converted_contact_id", contacts),
        ("salesforce_tasks", "what_id", opportunities),
        ("salesforce_campaign_members", "contact_id", contacts),
        ("billing_subscriptions", "salesforce_account_id", ids(clean["salesforce_accounts"])),
        ("hubspot_contacts", "salesforce_lead_id", leads),
    ):
        lengths = Counter(len(id_) for id_ in ids(clean[table], column))
        assert lengths[15] and lengths[18] and set(lengths) == {15, 18}, (table, column)
        assert {full(id_) for id_ in ids(clean[table], column)} <= known, (table, column)


def test_hubspot_has_copies_and_deals_of_its_own(clean: dict[str, list[Row]]) -> None:
    deals = [row for row in clean["hubspot_deals"] if not row["is_deleted"]]
    opportunities = {row["id"]: row for row in clean["salesforce_opportunities"]}
    copies = [row for row in deals if row["salesforce_opportunity_id"]]
    assert 0.35 < len(copies) / len(opportunities) < 0.55
    for copy in copies:
        original = opportunities[full(copy["salesforce_opportunity_id"])]
        assert float(copy["amount"]) == float(original["amount"])
        assert copy["hs_is_closed_won"] in (None, original["is_won"])
    in_salesforce = {row["website"].removeprefix("https://www.") for row in clean["salesforce_accounts"]}
    domain_of = {row["id"]: row["domain"] for row in clean["hubspot_companies"]}
    own = [row for row in deals if not row["salesforce_opportunity_id"]]
    assert len(own) > 20
    assert not {domain_of[row["company_id"]] for row in own if row["company_id"]} & in_salesforce
    stages = Counter((row["hs_is_closed"] is None, row["company_id"] is None) for row in deals)
    assert len(stages) == 4  # some leave it to their stage, some to their associations


def test_merged_records_are_named_by_what_swallowed_them(clean: dict[str, list[Row]]) -> None:
    accounts = {row["id"]: row for row in clean["salesforce_accounts"]}
    gone = [row for row in accounts.values() if row["master_record_id"]]
    assert gone and all(row["is_deleted"] and row["master_record_id"] in accounts for row in gone)
    assert any(accounts[row["master_record_id"]]["is_deleted"] for row in gone), "a chain of merges"
    for table, audit in (("hubspot_contacts", "hubspot_contact_merges"), ("hubspot_deals", "hubspot_deal_merges")):
        listed = {id_ for ids_ in ids(clean[table], "hs_merged_object_ids") for id_ in ids_.split(";")}
        assert listed and ids(clean[audit], "merged_id") == listed
        assert {row["id"] for row in clean[table] if row["is_deleted"]} < listed
    merged = {id_ for ids_ in ids(clean["hubspot_companies"], "hs_merged_object_ids") for id_ in ids_.split(";")}
    assert ids(clean["hubspot_contacts"], "company_id") & merged, "people still at a company that is gone"


def test_leads_are_converted_known_or_strangers(clean: dict[str, list[Row]]) -> None:
    leads = [row for row in clean["salesforce_leads"] if not row["is_deleted"]]
    converted = [row for row in leads if row["is_converted"] == "true"]
    assert converted and all(row["converted_contact_id"] and row["converted_account_id"] for row in converted)
    assert all(row["created_date"] < row["converted_date"] for row in converted)
    contacts = {row["id"]: row for row in clean["salesforce_contacts"]}
    assert all(contacts[full(row["converted_contact_id"])]["email"] == row["email"] for row in converted)
    known = {
        row["email"].split("@")[1] for table in ("hubspot_contacts", "salesforce_contacts") for row in clean[table]
    }
    strangers = [row for row in leads if row["email"].split("@")[1] not in known]
    assert 500 < len(strangers) < 700 and {row["is_converted"] for row in strangers} == {"false"}


def test_subscriptions_follow_from_wins(clean: dict[str, list[Row]]) -> None:
    rows = clean["billing_subscriptions"]
    assert all(row["ended_at"] is None or row["started_at"] < row["ended_at"] for row in rows)
    wins = [row for row in clean["salesforce_opportunities"] if row["is_won"] == "true"]
    of_domain = Counter(row["customer_domain"] for row in rows)
    website = {row["id"]: row["website"].removeprefix("https://www.") for row in clean["salesforce_accounts"]}
    won = {website[row["account_id"]] for row in wins}
    assert 0.8 < len(won & set(of_domain)) / len(won) < 1
    first = {row["customer_domain"]: row for row in rows if of_domain[row["customer_domain"]] == 1}
    closes = {website[row["account_id"]]: row for row in wins}
    assert any(closes[domain]["close_date"] == row["started_at"] for domain, row in first.items() if domain in closes)
    changes: Counter[str] = Counter()
    for before, after in zip(rows, rows[1:]):
        if before["customer_domain"] != after["customer_domain"] or before["ended_at"] is None:
            changes["churn"] += before["ended_at"] is not None
        elif after["started_at"] > before["ended_at"]:
            changes["return"] += 1
        elif after["started_at"] == before["ended_at"]:
            changes["expansion" if float(after["arr"]) > float(before["arr"]) else "contraction"] += 1
    assert min(changes[kind] for kind in ("churn", "return", "expansion", "contraction")) > 5, changes


def test_email_events_come_in_order(clean: dict[str, list[Row]]) -> None:
    moments: dict[tuple[str, str], datetime] = {}
    for row in clean["hubspot_email_events"]:
        moments[row["id"][:-1], row["event_type"]] = datetime.fromisoformat(row["occurred_at"])
    assert {kind for _, kind in moments} == {"SENT", "DELIVERED", "OPEN", "CLICK", "BOUNCE"}
    for (email, kind), moment in moments.items():
        for earlier in {"DELIVERED": ("SENT",), "OPEN": ("DELIVERED",), "CLICK": ("OPEN",)}.get(kind, ()):
            assert moments[email, earlier] < moment
    filtered = Counter(row["is_filtered"] for row in clean["hubspot_email_events"] if row["event_type"] == "CLICK")
    assert filtered["true"] > 20 and filtered["false"] > 20


def test_other_currencies_are_an_option() -> None:
    def currencies(*codes: str) -> dict[str, Counter[str]]:
        tables = generate(accounts=400, visits=0, dirt=0.2, currencies=codes)
        columns = {"salesforce_opportunities": "currency_iso_code", "billing_subscriptions": "currency"}
        return {table: Counter(row[column] for row in tables[table]) for table, column in columns.items()}

    assert all(set(found) == {"USD"} for found in currencies("USD").values())
    for found in currencies("USD", "EUR", "GBP").values():
        assert set(found) == {"USD", "EUR", "GBP"}
        assert 0.02 < (found["EUR"] + found["GBP"]) / found.total() < 0.25


def test_more_emails_than_a_chunk_have_ids_of_their_own() -> None:
    world = build_world(MockOptions(accounts=20, visits=700_000), AS_OF)
    emails = EmailEvents(world.options, world.market, world.contacts, world.horizon)
    chunks = [emails.build_chunk(chunk, rows) for chunk, rows in ((0, EMAIL_CHUNK_ROWS), (1, 1500))]
    events = [id_ for chunk in chunks for id_ in chunk.columns["id"].to_pylist()]
    assert len(set(events)) == len(events) > 30_000
