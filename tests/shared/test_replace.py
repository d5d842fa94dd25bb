"""DuckDB's own way of merging: whatever comes in whatever order, it does what MERGE does."""

import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from shared.settings import WarehouseSettings
from shared.warehouse import MergeCounts, merge_staged, open_warehouse
from shared.warehouse.replace import replace_staged


def table(name: str) -> sa.Table:
    keys = (sa.Column(column, sa.Text, primary_key=True) for column in ("system", "id"))
    return sa.Table(name, sa.MetaData(), *keys, sa.Column("hash", sa.Text), sa.Column("note", sa.Text), schema="raw")


REPLACED, MERGED = table("replaced"), table("merged")


@pytest.fixture
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Connection]:
    settings = WarehouseSettings(GTM_DATA_DIR=tmp_path_factory.mktemp("warehouse"))  # type: ignore[call-arg]
    with open_warehouse(settings).core(write=True) as opened:
        REPLACED.create(opened)
        MERGED.create(opened)
        yield opened


def offer(connection: sa.Connection, rows: list[tuple[str, str, str | None, str]]) -> tuple[MergeCounts, MergeCounts]:
    connection.exec_driver_sql("create or replace temporary table batch (system text, id text, hash text, note text)")
    if rows:
        connection.exec_driver_sql(f"insert into batch values {', '.join(map(_literal, rows))}")
    changed = "stored.hash <> offered.hash"
    return (
        replace_staged(connection, REPLACED, "batch", update_when=changed),
        merge_staged(connection, MERGED, "batch", update_when=changed),
    )


def _literal(row: tuple[str | None, ...]) -> str:
    return f"({', '.join('null' if value is None else repr(value) for value in row)})"


def rows_of(connection: sa.Connection, name: str) -> list[tuple[str | None, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(f"select * from raw.{name} order by system, id")]


@pytest.mark.parametrize("seed", range(3))
def test_it_leaves_the_rows_and_gives_the_counts_of_a_merge(connection: sa.Connection, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(12):
        keys = {(chance.choice("ab"), str(chance.randrange(40))) for _ in range(chance.choice((0, 1, 5, 30)))}
        rows = [(*key, chance.choice(("x", "y", None)), f"batch {number}") for key in sorted(keys)]
        replaced, merged = offer(connection, rows)
        assert replaced == merged, f"batch {number} of seed {seed}"
        assert rows_of(connection, "replaced") == rows_of(connection, "merged")
        again, _ = offer(connection, [])
        assert again == MergeCounts()


def test_the_same_batch_again_touches_no_row(connection: sa.Connection) -> None:
    rows = [("a", str(number), "x", "first") for number in range(50)]
    assert offer(connection, rows)[0] == MergeCounts(inserted=50)
    before = connection.exec_driver_sql("select rowid, id from raw.replaced order by 1").all()
    assert offer(connection, rows)[0] == MergeCounts(unchanged=50)
    assert connection.exec_driver_sql("select rowid, id from raw.replaced order by 1").all() == before
