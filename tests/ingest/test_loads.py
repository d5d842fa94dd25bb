"""raw.loads: what every load read and changed, written with its rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from services.ingest.adapters.attempts import to_load
from services.ingest.domain.sources import Reject
from shared.contracts import SyncRequest
from shared.jobs.context import LeaseLost
from tests.ingest.conftest import Land, MemoryJob, Query, Sync

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


MAPPING = """
description: test
tables:
  hubspot_companies: {files: [companies, companies_2], key: [ID], columns: {id: ID}}
  hubspot_contacts: {files: [people], key: [ID], columns: {id: ID}}
  hubspot_deals: {files: [deals], key: [ID], columns: {id: ID}}
"""
OTHER_MAPPING = "description: test\ntables:\n  hubspot_deals: {files: [deals], key: [ID], columns: {id: ID}}\n"
LOADS = "select load_id, source_table, seen, is_baseline from raw.loads order by 1, 2"

SyncFiles: TypeAlias = Callable[..., dict[str, Any]]


@pytest.fixture
def sync_files(sync: Sync, files_root: Path, tmp_path: Path) -> SyncFiles:
    """Sync a new folder of these files, of one row each."""
    sources_dir = tmp_path / "sources"
    sources_dir.mkdir()
    (sources_dir / "test.yml").write_text(MAPPING)
    (sources_dir / "other.yml").write_text(OTHER_MAPPING)

    def run(load: int, *files: str, mapping: str = "test") -> dict[str, Any]:
        folder = files_root / f"{load}-{len(list(files_root.iterdir()))}"
        folder.mkdir()
        for name in files:
            (folder / f"{name}.csv").write_text("ID\n1\n")
        options = {"mapping": mapping, "path": str(folder)}
        return sync("files", options, job_id=f"job-{load}", sources_dir=sources_dir)

    return run


def test_a_file_that_is_missing_is_a_load_of_no_rows(sync_files: SyncFiles, query: Query) -> None:
    assert sync_files(1, "companies", "people")["missing_tables"] == []  # deals never came
    for load in (2, 3):
        result = sync_files(load, "people")
        assert result["missing_tables"] == ["hubspot_companies"]
        assert (result["seen"], result["tables"]["hubspot_companies"]["seen"]) == (1, 0)
    assert sync_files(4, "people", "companies_2")["missing_tables"] == []
    assert query(LOADS) == [
        ("job-1", "hubspot_companies", 1, False),
        ("job-1", "hubspot_contacts", 1, False),
        ("job-2", "hubspot_companies", 0, False),
        ("job-2", "hubspot_contacts", 1, False),
        ("job-3", "hubspot_companies", 0, False),
        ("job-3", "hubspot_contacts", 1, False),
        ("job-4", "hubspot_companies", 1, False),
        ("job-4", "hubspot_contacts", 1, False),
    ]


def test_folders_and_mappings_that_share_a_source_do_not_miss_each_others_files(sync_files: SyncFiles) -> None:
    sync_files(1, "companies", "people")
    assert sync_files(2, "deals")["missing_tables"] == []
    assert sync_files(3, "companies", "people")["missing_tables"] == []
    assert sync_files(4, "deals", mapping="other")["missing_tables"] == []
    assert sync_files(5, "companies", "people", "deals")["missing_tables"] == []
    assert sync_files(6, "deals", mapping="other")["missing_tables"] == []


def test_a_table_that_another_source_took_over_is_not_missing(sync_files: SyncFiles, sync: Sync, query: Query) -> None:
    sync_files(1, "companies", "people")
    sync("mock", {"accounts": 5, "visits": 0, "as_of": "2026-03-01"}, job_id="job-2")
    assert sync_files(3, "people")["missing_tables"] == []
    assert query("select source_table from raw.loads where load_id = 'job-3'") == [("hubspot_contacts",)]


def test_a_job_tried_again_misses_the_same(sync_files: SyncFiles, query: Query) -> None:
    sync_files(1, "companies", "people")
    sync_files(2, "people")
    before = query("select * from raw.loads order by all")
    assert sync_files(2, "people")["missing_tables"] == ["hubspot_companies"]
    assert query("select * from raw.loads order by all") == before
    sync_files(2, "people", "companies")
    assert query("select seen from raw.loads where load_id = 'job-2'") == [(1,), (1,)]
    sync_files(2, "people")
    assert query("select seen from raw.loads where load_id = 'job-2'") == [(1,), (1,)]


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, "incremental"),
        ({"objects": ["contacts"]}, "incremental"),
        ({"since": "2026-01-01T00:00:00Z"}, "part"),
        ({"records": {"contacts": ["1"]}}, "part"),
    ],
)
def test_a_window_or_single_records_are_a_part(options: dict[str, Any], mode: str) -> None:
    """By which no source counts as fresh."""
    request = SyncRequest(source="hubspot", options=options)
    assert to_load(MemoryJob("job-1", {}), request, is_complete=False).mode == mode
