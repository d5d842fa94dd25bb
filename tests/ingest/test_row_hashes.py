"""Rows that an older release landed: hashed anew where they lie, so that the next sync finds them unchanged."""

import pytest
import sqlalchemy as sa

from services.ingest.domain.loads import LandedCounts
from services.ingest.domain.raw_schema import source_columns
from shared.jobs.context import LeaseLost
from shared.warehouse import Warehouse
from tests.ingest.conftest import Land, Query

TABLE = "hubspot_companies"
ROWS = [
    {"id": "1", "name": "Acme", "extra": '{"a":"1"}'},
    {"id": "2", "name": "Gone", "is_deleted": True},
    {"id": None, "name": "Keyless"},
    {"id": None, "name": "Keyless, too", "city": "Ulm"},
]
STORED = f"select * exclude (row_hash, source_record_id) from raw.{TABLE} order by all"
KEYS = f"select source_record_id, row_hash from raw.{TABLE} order by all"


def hash_of_release_1(without: tuple[str, ...] = ()) -> str:
    """The first formula, over all columns that a release had, null ones included."""
    names = [*(name for name in source_columns(TABLE) if name not in without), "extra"]
    parts = [f"coalesce(cast(length({name}) as varchar) || ':' || {name}, '-')" for name in names]
    return f"md5(concat_ws('|', {', '.join(parts)}, case when is_deleted then 'deleted' else 'kept' end))"


def make_older(warehouse: Warehouse, *, without: tuple[str, ...] = (), where: str = "true") -> None:
    old = hash_of_release_1(without)
    with warehouse.core(write=True) as connection:
        for change in (
            f"update raw.{TABLE} set source_record_id = 'keyless:' || {old} where id is null and {where}",
            f"update raw.{TABLE} set row_hash = {old} where {where}",
        ):
            connection.execute(sa.text(change))


@pytest.mark.parametrize("without", [(), ("hs_merged_object_ids",)])
def test_rows_of_an_older_release_are_unchanged(
    land: Land, query: Query, warehouse: Warehouse, without: tuple[str, ...]
) -> None:
    land(TABLE, ROWS)
    before, keys = query(STORED), query(KEYS)
    make_older(warehouse, without=without)
    assert not set(query(KEYS)) & set(keys)
    assert land(TABLE, ROWS, job_id="job-2") == LandedCounts(4, 0, 0, 4, 0, 0)
    assert (query(STORED), query(KEYS)) == (before, keys)


def test_a_change_and_a_new_row_come_with_the_upgrade(land: Land, query: Query, warehouse: Warehouse) -> None:
    land(TABLE, ROWS)
    make_older(warehouse)
    rows = [{"id": "1", "name": "Acme Ltd"}, *ROWS[1:], {"id": None, "name": "Third keyless"}]
    assert land(TABLE, rows, job_id="job-2") == LandedCounts(5, 1, 1, 3, 0, 0)
    assert query(f"select name from raw.{TABLE} where load_id = 'job-2' order by 1") == [
        ("Acme Ltd",),
        ("Third keyless",),
    ]


def test_a_record_without_a_key_that_a_release_doubled_is_one_again(
    land: Land, query: Query, warehouse: Warehouse
) -> None:
    """Each formula that a warehouse has seen left a copy under its own key."""
    land(TABLE, ROWS)
    before, keys = query(STORED), query(KEYS)
    make_older(warehouse, without=("hs_merged_object_ids",))
    names = ", ".join(name for (name,) in query(f"select column_name from (describe raw.{TABLE})"))
    chosen = names.replace("source_record_id", f"'keyless:' || {hash_of_release_1()}")
    chosen = chosen.replace("row_hash", hash_of_release_1()).replace("load_id", "'job-2'")
    chosen = chosen.replace("loaded_at", "loaded_at + interval 1 second")
    with warehouse.core(write=True) as connection:
        doubled = f"insert into raw.{TABLE} ({names}) select {chosen} from raw.{TABLE} where id is null"
        connection.execute(sa.text(doubled))
    assert query(f"select count(*) from raw.{TABLE} where id is null") == [(4,)]
    assert land(TABLE, ROWS, job_id="job-3") == LandedCounts(4, 0, 0, 4, 0, 0)
    assert (query(STORED), query(KEYS)) == (before, keys)


def test_a_lost_lease_leaves_the_older_rows_as_they_were(land: Land, query: Query, warehouse: Warehouse) -> None:
    land(TABLE, ROWS)
    make_older(warehouse)
    keys = query(KEYS)
    with pytest.raises(LeaseLost):
        land(TABLE, ROWS, job_id="job-2", stops_with=LeaseLost("fence 2"))
    assert query(KEYS) == keys


def test_a_new_column_changes_no_hash_until_it_is_filled(land: Land, query: Query, warehouse: Warehouse) -> None:
    land(TABLE, ROWS)
    keys = query(KEYS)
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text(f"alter table raw.{TABLE} drop column hs_merged_object_ids"))
    assert land(TABLE, ROWS, job_id="job-2") == LandedCounts(4, 0, 0, 4, 0, 0)
    assert query(KEYS) == keys
    filled = [{**ROWS[0], "hs_merged_object_ids": "7"}, *ROWS[1:]]
    assert land(TABLE, filled, job_id="job-3") == LandedCounts(4, 0, 1, 3, 0, 0)
