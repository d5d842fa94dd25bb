"""Which version of a record RAW keeps, and what counts as changed."""

import hashlib
import json
from datetime import datetime

import pytest
import sqlalchemy as sa

from services.ingest.domain.loads import LandedCounts
from services.ingest.domain.raw_schema import RAW_TABLE_NAMES
from services.ingest.domain.sources import Reject
from shared.jobs.context import LeaseLost
from shared.warehouse import Warehouse
from tests.ingest.conftest import Land, Query

NAMES = "select source_record_id, name, load_id from raw.hubspot_companies order by 1"


def company(
    id_: str | None, name: str, updated_at: str | None = "2026-01-01T00:00:00Z", **more: object
) -> dict[str, object]:
    return {"id": id_, "name": name, "updated_at": updated_at, **more}


def test_same_rows_again_change_nothing(land: Land, query: Query) -> None:
    rows = [company("1", "Acme"), company("2", "Berg", None), company(None, "Keyless")]
    assert land("hubspot_companies", rows) == LandedCounts(3, 3, 0, 0, 0, 0)
    before = query("select * from raw.hubspot_companies order by all")
    assert land("hubspot_companies", rows, job_id="job-2") == LandedCounts(3, 0, 0, 3, 0, 0)
    assert query("select * from raw.hubspot_companies order by all") == before


def test_newer_correction_updates_and_takes_the_load_id(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1", "Acme"), company("2", "Berg")])
    counts = land("hubspot_companies", [company("1", "Acme Ltd", "2026-02-01"), company("2", "Berg")], job_id="job-2")
    assert (counts.updated, counts.unchanged) == (1, 1)
    assert query(NAMES) == [("1", "Acme Ltd", "job-2"), ("2", "Berg", "job-1")]


def test_older_version_that_arrives_later_does_not_overwrite(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1", "New", "2026-02-01")])
    counts = land("hubspot_companies", [company("1", "Old", "2026-01-31T23:59:59Z")], job_id="job-2")
    assert (counts.updated, counts.unchanged) == (0, 1)
    assert query(NAMES) == [("1", "New", "job-1")]


def test_unreadable_stamp_counts_as_not_older(land: Land, query: Query) -> None:
    stamps = [(None, "2020-01-01"), ("2026-01-01", None), (None, None), ("N/A", "TBD")]
    land("hubspot_companies", [company(str(n), "First", stored) for n, (stored, _) in enumerate(stamps)])
    offered = [company(str(n), "Second", stamp) for n, (_, stamp) in enumerate(stamps)]
    assert land("hubspot_companies", offered).updated == len(stamps)
    assert {name for _, name, _ in query(NAMES)} == {"Second"}


def test_newest_version_of_one_load_wins_then_the_last_to_arrive(land: Land, query: Query) -> None:
    rows = [
        company("1", "Newest", "2026-03-01"),
        company(" 1 ", "Older", "2026-02-01"),
        company("1", "Unreadable", "N/A"),
        company("2", "Same time, first", "2026-02-01"),
        company("2", "Same time, last", "2026-02-01"),
    ]
    assert land("hubspot_companies", rows) == LandedCounts(5, 2, 0, 0, 3, 0)
    assert [name for _, name, _ in query(NAMES)] == ["Newest", "Same time, last"]
    assert land("hubspot_companies", rows, job_id="job-2") == LandedCounts(5, 0, 0, 2, 3, 0)


def test_offsets_are_applied_before_versions_are_compared(land: Land, query: Query) -> None:
    """Both engines' casts would keep the wall clock and drop the offset."""
    rows = [company("1", "11:30 UTC", "2026-01-01T11:30:00Z"), company("1", "10:00 UTC", "2026-01-01T12:00:00+02:00")]
    land("hubspot_companies", [*rows, company("2", "Salesforce", "2026-01-01T02:00:00.250-0530")])
    assert [name for _, name, _ in query(NAMES)] == ["11:30 UTC", "Salesforce"]
    stamps = query("select source_updated_at from raw.hubspot_companies order by source_record_id")
    assert stamps == [(datetime(2026, 1, 1, 11, 30),), (datetime(2026, 1, 1, 7, 30, 0, 250000),)]


CHANGE_TIMES = {
    "2020-12-30 3:15:52": datetime(2020, 12, 30, 3, 15, 52),
    "2026-01-01": datetime(2026, 1, 1),
    "1700000000000": datetime(2023, 11, 14, 22, 13, 20),
    "2026-01-01T10:00:00.123456789Z": datetime(2026, 1, 1, 10, 0, 0, 123456),
    " 2026-01-01T10:00:00+00:00 ": datetime(2026, 1, 1, 10),
    "2026-13-45": None,
    "2026-13-45T10:00:00+02:00": None,
    "0000-00-00": None,
    "1/5/2026": None,
    "infinity": None,
    "epoch": None,
    "": None,
}


def test_change_time_is_read_or_null(land: Land, query: Query) -> None:
    land("hubspot_companies", [company(text, text, text) for text in CHANGE_TIMES if text] + [company("none", "", "")])
    assert dict(query("select name, source_updated_at from raw.hubspot_companies")) == CHANGE_TIMES


def test_text_lands_unchanged_and_only_the_key_is_trimmed(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("\t7 \u00a0", "  O&#39;Neil\n& Co ", domain="ACME.example ")])
    assert query("select source_record_id, id, name, domain, city from raw.hubspot_companies") == [
        ("7", "\t7 \u00a0", "  O&#39;Neil\n& Co ", "ACME.example ", None)
    ]


def test_records_without_a_key_land_by_their_content(land: Land, query: Query) -> None:
    rows = [company(None, "A"), company("  ", "B"), company(None, "A")]
    assert land("hubspot_companies", rows) == LandedCounts(3, 2, 0, 0, 1, 0)
    assert query("select count(*) from raw.hubspot_companies where source_record_id = 'keyless:' || row_hash") == [(2,)]


LOOK_ALIKES: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"name": "a", "domain": None}, {"name": None, "domain": "a"}),
    ({"domain": "a|name:1:b", "name": None}, {"domain": "a", "name": "b"}),
    ({"domain": "1:b|", "name": None}, {"domain": None, "name": "1:b|"}),
    ({"state": "a|deleted"}, {"state": "a", "is_deleted": True}),
    ({"name": "-", "domain": "x"}, {"name": None, "domain": "x"}),
    ({"name": "", "domain": "x"}, {"name": None, "domain": "x"}),
    ({"name": "a", "is_deleted": True}, {"name": "a", "is_deleted": False}),
    ({"name": "a", "extra": '{"x":"1"}'}, {"name": "a", "extra": None}),
]


def test_hash_tells_rows_apart_that_look_alike_when_joined(land: Land) -> None:
    land("hubspot_companies", [{"id": str(n), **one} for n, (one, _) in enumerate(LOOK_ALIKES)])
    others = [{"id": str(n), **other} for n, (_, other) in enumerate(LOOK_ALIKES)]
    assert land("hubspot_companies", others).updated == len(LOOK_ALIKES)


def test_hash_is_the_documented_one(land: Land, query: Query) -> None:
    """Another formula, or another engine with another result, would make every stored row look changed."""
    land("salesforce_opportunity_history", [{"id": "1", "stage_name": "Ängebot", "extra": "{}", "is_deleted": True}])
    text = "extra:2:{}|id:1:1|stage_name:7:Ängebot|deleted"
    assert query("select row_hash from raw.salesforce_opportunity_history") == [
        (hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),)
    ]


def test_lost_lease_before_the_commit_lands_nothing(land: Land, query: Query) -> None:
    land("hubspot_companies", [company("1", "Acme")])
    with pytest.raises(LeaseLost):
        land("hubspot_companies", [company("2", "Berg")], stops_with=LeaseLost("fence 2"))
    assert [name for _, name, _ in query(NAMES)] == ["Acme"]


def test_rejects_are_kept_once(land: Land, query: Query) -> None:
    rejects = [
        Reject("a.csv", 3, "2 fields where the header has 3", "x,y"),
        Reject("a.csv", 9, "bad quoting", '"' * 20_000),
    ]
    for job_id in ("job-1", "job-2"):
        counts = land("hubspot_companies", [company("1", "Acme")], rejects=rejects, job_id=job_id)
        assert (counts.seen, counts.rejected) == (3, 2)
    kept = query(
        "select load_id, source_system, source_table, file, line, length(content) from raw.rejects order by line"
    )
    assert [row[:5] for row in kept] == [("job-1", "hubspot", "hubspot_companies", "a.csv", line) for line in (3, 9)]
    assert kept[1][5] < 10_100


def test_every_raw_table_exists_after_any_sync(land: Land, query: Query, warehouse: Warehouse) -> None:
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text("drop schema raw cascade"))
        connection.execute(sa.text("create schema raw"))
    land("salesforce_contacts", [])
    listing = "select table_name from information_schema.tables where table_schema = 'raw'"
    tables = {name for (name,) in query(listing)}
    assert {*RAW_TABLE_NAMES, "rejects", "loads", "schema_changes"} <= tables and len(RAW_TABLE_NAMES) == 28


def test_extra_is_json(land: Land, query: Query) -> None:
    extra = json.dumps({"score": "5"})
    land("hubspot_companies", [company("1", "Acme", extra=extra)])
    assert query("select extra from raw.hubspot_companies") == [(extra,)]


def test_a_warehouse_of_an_older_release_gets_what_it_lacks(land: Land, query: Query, warehouse: Warehouse) -> None:
    land("hubspot_companies", [company("1", "Acme")])
    with warehouse.core(write=True) as connection:
        for change in (
            "alter table raw.hubspot_companies drop column hs_merged_object_ids",
            "alter table raw.loads drop column is_baseline",
            "drop table raw.billing_subscriptions",
        ):
            connection.execute(sa.text(change))
    rows = [company("1", "Acme"), company("2", "Berg", hs_merged_object_ids="7;8")]
    assert land("hubspot_companies", rows, job_id="job-2") == LandedCounts(2, 1, 0, 1, 0, 0)
    assert query("select id, hs_merged_object_ids from raw.hubspot_companies order by 1") == [("1", None), ("2", "7;8")]
    assert query("select count(*) from raw.billing_subscriptions") == [(0,)]
    comments = "select comment from duckdb_columns() where table_name = 'loads' and column_name = 'is_baseline'"
    assert query(comments) == [("A person accepted this volume as the new normal",)]
