"""raw.loads: what every load read and changed, written with its rows."""

import pytest

from services.ingest.domain.sources import Reject
from shared.jobs.context import LeaseLost
from tests.ingest.conftest import Land, Query, Sync

COUNTS = "select load_id, seen, inserted, updated, unchanged, duplicates, rejected from raw.loads order by loaded_at"


def company(id_: str, name: str = "Acme") -> dict[str, object]:
    return {"id": id_, "name": name}


def test_every_load_is_recorded_also_one_that_changes_nothing(land: Land, query: Query) -> None:
    rows = [company("1"), company("2"), company("2")]
    land("hubspot_companies", rows, rejects=[Reject("a.csv", 3, "2 fields where the header has 3", "x,y")])
    land("hubspot_companies", rows[:1], job_id="job-2")
    land("hubspot_companies", [], job_id="job-3")
    assert query(COUNTS) == [("job-1", 4, 2, 0, 0, 1, 1), ("job-2", 1, 0, 0, 1, 0, 0), ("job-3", 0, 0, 0, 0, 0, 0)]


def test_a_load_and_its_rows_carry_the_same_moment(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1")])
    land("hubspot_companies", [company("1"), company("2")], job_id="job-2")
    joined = "from raw.hubspot_companies join raw.loads using (load_id, loaded_at)"
    assert query(f"select id, load_id {joined} order by 1") == [("1", "job-1"), ("2", "job-2")]


def test_a_job_tried_again_keeps_what_its_first_try_did(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1"), company("2")])
    before = query("select * from raw.loads")
    land("hubspot_companies", [company("1"), company("2")])
    assert query("select * from raw.loads") == before
    land("hubspot_companies", [company("1"), company("2", "Berg")])
    assert query(COUNTS) == [("job-1", 2, 0, 1, 1, 0, 0)]
    assert query("select count(*) from raw.hubspot_companies join raw.loads using (load_id, loaded_at)") == [(1,)]


def test_a_load_that_is_rolled_back_is_not_recorded(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1")])
    with pytest.raises(LeaseLost):
        land("hubspot_companies", [company("2")], job_id="job-2", stops_with=LeaseLost("fence 2"))
    assert query("select load_id from raw.loads") == [("job-1",)]


def test_who_asks_says_that_the_volume_is_right(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1")], accept_volume=True)
    land("hubspot_companies", [company("1")], job_id="job-2")
    assert query("select load_id, is_baseline, is_complete from raw.loads order by 1") == [
        ("job-1", True, True),
        ("job-2", False, True),
    ]


def test_a_sync_says_what_it_was_asked(sync: Sync, query: Query) -> None:
    result = sync("mock", {"accounts": 5, "visits": 0, "as_of": "2026-03-01"})
    loads = query("select distinct load_id, source, mode, is_complete, is_baseline from raw.loads")
    assert loads == [("job-1", "mock", "incremental", True, False)]
    recorded = query("select source_table, source_system, seen from raw.loads")
    assert {table: seen for table, _, seen in recorded} == {t: one["seen"] for t, one in result["tables"].items()}
    assert all(table.startswith(f"{system}_") for table, system, _ in recorded)
    assert ("hubspot_web_visits", "hubspot", 0) in recorded
