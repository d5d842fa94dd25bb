"""The generated market: the same on every run, clean or dirty as asked, with outcomes that fit and intent explain."""

import re
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.ingest.adapters.mock import MockSource
from services.ingest.domain.mock.dirt_places import PLACES
from services.ingest.domain.mock.generate import MOCK_TABLES, generate_tables
from services.ingest.domain.mock.market import build_market
from services.ingest.domain.mock.opportunities import build_deals
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import build_people
from services.ingest.domain.mock.visits import CHUNK_ROWS
from tests.ingest.conftest import MemoryStates, Query, Sync

AS_OF = date(2026, 3, 1)
SMALL: dict[str, Any] = {"accounts": 60, "visits": 900, "as_of": "2026-03-01"}


def generate(**options: Any) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.Table]] = {table: [] for table in MOCK_TABLES}
    for table, rows in generate_tables(MockOptions(**options), AS_OF):
        parts[table].append(rows)
    return {table: pa.concat_tables(rows) for table, rows in parts.items()}


def test_same_seed_same_rows_other_seed_other_rows() -> None:
    one, two, other = (generate(accounts=40, visits=300, dirt=0.3, seed=seed) for seed in (7, 7, 8))
    assert all(one[table].equals(two[table]) for table in MOCK_TABLES)
    assert not one["hubspot_companies"].equals(other["hubspot_companies"])


def test_batch_size_does_not_change_the_rows() -> None:
    def read(batch_rows: int) -> list[tuple[str, dict[str, Any]]]:
        source = MockSource(MockOptions(accounts=30, visits=400, dirt=0.3, as_of=AS_OF), None)
        return [(batch.table, row) for batch in source.read(batch_rows) for row in batch.rows.to_pylist()]

    assert read(7) == read(100_000)


def test_more_visits_than_a_chunk_have_ids_of_their_own() -> None:
    ids = generate(accounts=20, visits=CHUNK_ROWS + 10, dirt=0)["hubspot_web_visits"]["id"]
    assert len(ids) == len(set(ids.to_pylist())) == CHUNK_ROWS + 10


def test_second_sync_on_another_day_changes_nothing(sync: Sync, states: MemoryStates, query: Query) -> None:
    options = {"accounts": 60, "visits": 900}
    states.put("mock", {"as_of": "2026-03-01"})
    assert sync("mock", options)["changed"] > 900
    assert query("select max(source_updated_at) < '2026-03-01' from raw.hubspot_web_visits") == [(True,)]
    before = query("select * from raw.hubspot_web_visits order by all")
    again = sync("mock", options, job_id="job-2", batch_rows=13)
    assert (again["changed"], again["load_id"]) == (0, "job-2")
    assert again["seen"] == again["unchanged"] + again["duplicates"]
    assert query("select * from raw.hubspot_web_visits order by all") == before


def test_first_sync_remembers_its_day(sync: Sync, states: MemoryStates) -> None:
    sync("mock", SMALL)
    assert states.states == {"mock": {"as_of": "2026-03-01"}}
    sync("mock", {**SMALL, "as_of": "2026-03-09"})
    assert states.states == {"mock": {"as_of": "2026-03-01"}}


def test_result_adds_up(sync: Sync) -> None:
    result = sync("mock", {**SMALL, "dirt": 0.5})
    assert result["source"] == "mock" and set(result["tables"]) == set(MOCK_TABLES)
    for name in ("seen", "inserted", "duplicates"):
        assert result[name] == sum(counts[name] for counts in result["tables"].values()) > 0
    assert result["seen"] == result["inserted"] + result["duplicates"]


def test_clean_data_is_clean() -> None:
    tables = generate(accounts=200, visits=3000, dirt=0)
    for table, rows in tables.items():
        columns = rows.to_pydict()
        keys = columns["record_key"]
        assert len(set(keys)) == rows.num_rows > 0 and None not in keys
        if PLACES[table].stamp:
            assert max(columns["record_updated_at"]) < "2026-03-01"
        merged_away = [not key.startswith(("0", "5200", "77", "91")) or key[3:5] in ("Fn", "Fp") for key in keys]
        assert not any(gone and not merged for gone, merged in zip(columns["is_deleted"], merged_away)), table
        for name in rows.column_names:
            texts = [value for value in columns[name] if isinstance(value, str)]
            assert all(text == text.strip() and "&amp;" not in text for text in texts), (table, name)


def test_records_of_the_two_crms_belong_together() -> None:
    tables = {table: rows.to_pydict() for table, rows in generate(accounts=300, visits=3000, dirt=0).items()}
    companies, accounts = tables["hubspot_companies"], tables["salesforce_accounts"]
    domains = set(companies["domain"])
    websites = {site.removeprefix("https://www.") for site in accounts["website"]}
    assert all(domain.endswith(".example") for domain in domains | websites)
    assert 150 < len(domains & websites) < 270
    assert domains - websites and websites - domains
    merged = {id_ for ids in companies["hs_merged_object_ids"] if ids for id_ in ids.split(";")}
    assert {link for link in companies["salesforce_account_id"] if link} <= set(accounts["id"])
    assert {link for link in accounts["hubspot_company_id"] if link} <= set(companies["id"]) | merged
    assert set(tables["hubspot_contacts"]["company_id"]) <= set(companies["id"]) | merged
    assert set(tables["salesforce_contacts"]["account_id"]) <= set(accounts["id"])
    assert {person for person in tables["hubspot_web_visits"]["contact_id"] if person} <= set(
        tables["hubspot_contacts"]["id"]
    )
    deals = tables["salesforce_opportunities"]
    assert set(deals["account_id"]) <= set(accounts["id"])
    assert set(tables["salesforce_opportunity_history"]["opportunity_id"]) == set(deals["id"])
    won = {account for account, is_won in zip(deals["account_id"], deals["is_won"]) if is_won == "true"}
    assert 0.17 < len(won) / 300 < 0.33


def test_fit_and_intent_explain_who_buys_and_who_visits() -> None:
    options = MockOptions(accounts=4000)
    horizon = np.datetime64(AS_OF, "ms")
    market = build_market(options, horizon, build_people(options.seed))
    deals = build_deals(options, market, horizon)
    fit, intent = market.fit[deals.account], market.intent[deals.account]
    won, lost = deals.won, deals.closed & ~deals.won
    assert fit[won].mean() - fit[lost].mean() > 0.4
    assert intent[won].mean() - intent[lost].mean() > 0.3
    assert np.corrcoef(np.log(market.fleet_size), market.fit)[0, 1] > 0.5
    visits = generate(accounts=400, visits=8000, dirt=0)
    intent_of = _intents(400)
    company_of = dict(zip(*(visits["hubspot_contacts"][name].to_pylist() for name in ("id", "company_id"))))
    pages = zip(
        visits["hubspot_web_visits"]["contact_id"].to_pylist(), visits["hubspot_web_visits"]["page_url"].to_pylist()
    )
    high: dict[bool, list[float]] = {True: [], False: []}
    for person, url in pages:
        if person:
            if company_of[person] in intent_of:  # not by the id of a company that was merged away
                high[url.endswith(("/pricing", "/demo", "/integrations"))].append(intent_of[company_of[person]])
    assert np.mean(high[True]) - np.mean(high[False]) > 0.3
    assert np.mean(high[True] + high[False]) > 0.5


def _intents(accounts: int) -> dict[str, float]:
    options = MockOptions(accounts=accounts)
    market = build_market(options, np.datetime64(AS_OF, "ms"), build_people(options.seed))
    return dict(zip(market.hubspot_id.tolist(), market.intent.tolist()))


DEFECTS: dict[str, tuple[str, str, str]] = {
    "unreadable date": ("hubspot_companies", "createdate", r"^(N/A|0000-00-00|2026-13-45|not set|TBD)$"),
    "epoch": ("hubspot_web_visits", "occurred_at", r"^\d{13}$"),
    "month first": ("salesforce_opportunities", "close_date", r"^\d{1,2}/\d{1,2}/\d{4}$"),
    "padded id": ("hubspot_contacts", "id", r"^\s+\d+|\d\s+$"),
    "no id": ("salesforce_accounts", "id", r"^$"),
    "upper case": ("hubspot_contacts", "email", r"^[^a-z]+@[^a-z]+$"),
    "space": ("salesforce_contacts", "email", r"\s$"),
    "currency sign": ("salesforce_opportunities", "amount", r"^\$[\d,]+\.\d\d$"),
    "currency code": ("salesforce_opportunities", "amount", r"^USD [\d,]+$"),
    "negative": ("salesforce_opportunities", "amount", r"^-\d"),
    "spreadsheet date": ("salesforce_leads", "created_date", r"^4\d{4}\.\d+$"),
    "spreadsheet day": ("billing_subscriptions", "started_at", r"^4\d{4}$"),
    "day first": ("billing_subscriptions", "started_at", r"^(1[3-9]|2\d|3[01])-\d\d-\d{4}$"),
    "true": ("salesforce_opportunities", "is_closed", r"^(TRUE|True|t|yes|Y|1)$"),
    "false": ("hubspot_email_events", "is_filtered", r"^(FALSE|False|f|no|N|0)$"),
    "decimal comma": ("salesforce_opportunities", "amount", r"^\d{1,3}(\.\d{3})*,00$"),
    "entity": ("salesforce_accounts", "name", r"&amp;"),
}


@pytest.fixture(scope="module")
def dirty() -> dict[str, pa.Table]:
    return generate(accounts=900, visits=20_000, dirt=0.3)


@pytest.mark.parametrize("table, column, pattern", DEFECTS.values(), ids=DEFECTS)
def test_every_defect_appears(dirty: dict[str, pa.Table], table: str, column: str, pattern: str) -> None:
    assert any(re.search(pattern, value) for value in dirty[table][column].to_pylist() if value is not None)


def test_dirt_is_the_share_of_rows_that_differ(dirty: dict[str, pa.Table]) -> None:
    clean = generate(accounts=900, visits=20_000, dirt=0)["salesforce_accounts"].to_pylist()
    dirtied = dirty["salesforce_accounts"].to_pylist()[: len(clean)]
    touched = sum(one != other for one, other in zip(clean, dirtied))
    extra = dirty["salesforce_accounts"].num_rows - len(clean)
    assert 0.24 < (touched + extra / 2) / len(clean) < 0.36


def test_late_duplicate_and_deleted_rows(dirty: dict[str, pa.Table]) -> None:
    visits = dirty["hubspot_web_visits"]
    assert visits["id"].to_pylist() != sorted(filter(None, visits["id"].to_pylist()))
    tail = [stamp for stamp in visits["record_updated_at"].to_pylist()[20_000:] if stamp]
    assert any(stamp < "2025-11-01" for stamp in tail)
    assert len(set(visits["record_key"].to_pylist())) < visits.num_rows
    assert any(dirty["hubspot_contacts"]["is_deleted"].to_pylist())
    assert any(dirty["salesforce_accounts"]["is_deleted"].to_pylist())
