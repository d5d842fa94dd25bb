"""The estimate of bytes read counts the columns that are asked for, through views, and no more."""

from pathlib import Path

import pytest

from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from shared.warehouse.merge import count_rows
from tests.fakes.snowflake_statements import kind_of
from tests.sql.scans import Catalog, Scan, estimate
from tests.sql.shapes import to_shapes
from tests.sql.sites import reached_sites, sites_of_product
from tests.sql.wire import Statement

VIEW = (
    "create or replace view gtm.analytics.named as (with all_of as (select * from gtm.raw.deals) select * from all_of)"
)


def statement(sql: str, rows: int | None = 1) -> Statement:
    return Statement(sql, kind_of(sql), "", "one", False, rows)


@pytest.fixture
def catalog() -> Catalog:
    sizes = {"raw.deals": {"id": 100, "name": 900, "extra": 9000}, "raw.companies": {"id": 10, "deal_id": 10}}
    found = Catalog(sizes, {"raw.deals": 10, "raw.companies": 1})
    found.note_views([statement(VIEW)])
    return found


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("select id from raw.deals", 100),
        ("select count(*) from raw.deals where name = 'a'", 900),
        ("select * from raw.deals", 10_000),
        ("select id from analytics.named", 100),
        (
            "select named.id from gtm.analytics.named as named inner join raw.companies as c on c.deal_id = named.id",
            110,
        ),
        ("create or replace table raw.other as (select id, name from raw.deals)", 1000),
        ("select 1", 0),
        ("create table raw.other (id varchar)", 0),
        ("put 'file:///a' @%staged", 0),
        ("delete from raw.companies where id = '1'", 20),
    ],
)
def test_what_is_read(catalog: Catalog, sql: str, read: int) -> None:
    assert estimate(statement(sql), catalog) == Scan(read, True)


def test_a_merge_reads_its_source_and_writes_its_target_anew_where_it_touches_rows(catalog: Catalog) -> None:
    merge = (
        "merge into raw.companies as stored using (select id from raw.deals) as offered on stored.id = offered.id"
        " when matched then update set deal_id = offered.id"
    )
    assert estimate(statement(merge, rows=1), catalog).bytes_read == 120
    assert estimate(statement(merge, rows=0), catalog).bytes_read == 100


def test_what_can_not_be_told_apart_counts_whole_and_says_so(catalog: Catalog) -> None:
    assert estimate(statement("select * from raw.deals order by 1, 2, 3, 4, 5"), catalog) == Scan(10_000, False)


def test_statements_that_differ_in_values_are_checked_once() -> None:
    values = ["select 'a' as b, 1 as c", "select 'other' as b, 22 as c", "select  'it''s' as b, 3 as c"]
    (shape,) = to_shapes([statement(sql) for sql in values])
    assert (shape.count, shape.sql) == (3, values[0])
    assert len(to_shapes([statement(r"select 'a\.b' as b"), statement("select 'a' as b")])) == 2


def test_a_place_that_sends_a_statement_is_known_and_seen(tmp_path: Path) -> None:
    places = sites_of_product()
    merging, counting = ("shared/warehouse/merge.py", "merge_staged"), ("shared/warehouse/merge.py", "count_rows")
    assert merging in places and len(places) > 40
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path))
    with reached_sites() as reached, warehouse.core() as connection:
        assert count_rows(connection, "(select 1) as one") == 1
    assert counting in reached and merging not in reached
