"""The judge of parity: what it calls a difference, and what it must not overlook."""

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from tests.conftest import REPOSITORY
from tests.parity.comparison import OF_A_RUN, OF_AN_ENGINE, compare
from tests.parity.reading import Column, Relation, Row, to_kind

MACROS = REPOSITORY / "dbt_transform" / "macros"
COLUMNS = (Column("account_id", "text"), Column("amount_usd", "decimal(2)"), Column("dbt_run_id", "text"))
ROWS: list[Row] = [("a", Decimal("1.5"), "run-1"), ("b", None, "run-1"), ("b", None, "run-1")]
TABLE = Relation("table", COLUMNS, ROWS)


def test_rows_in_another_order_of_another_run_are_equal() -> None:
    other = replace(TABLE, rows=[("b", None, "run-2"), ("a", Decimal("1.50"), "run-2"), ("b", None, "run-2")])
    compared = compare({"analytics.x": TABLE}, {"analytics.x": other})
    assert (compared.tables, compared.rows, compared.cells, compared.left_out) == (1, 3, 6, 3)
    assert compared.differences == []


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([("a", Decimal("1.51"), "run-1"), ROWS[1], ROWS[2]], id="cell"),
        pytest.param([("a", None, "run-1"), ROWS[1], ROWS[2]], id="null"),
        pytest.param(ROWS[:2], id="row that is missing once"),
        pytest.param([*ROWS, ROWS[0]], id="row that is doubled"),
        pytest.param([], id="no row"),
    ],
)
def test_rows_that_differ_are_told_with_what_differs(rows: list[Row]) -> None:
    for ours, theirs in ((TABLE, replace(TABLE, rows=rows)), (replace(TABLE, rows=rows), TABLE)):
        differences = compare({"analytics.x": ours}, {"analytics.x": theirs}).differences
        assert differences and differences[0].startswith("analytics.x: ") and len(differences) > 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(TABLE, kind="view"), id="view"),
        pytest.param(replace(TABLE, columns=(*COLUMNS[:1], Column("amount_usd", "double"), COLUMNS[2])), id="type"),
        pytest.param(replace(TABLE, columns=(COLUMNS[1], COLUMNS[0], COLUMNS[2])), id="order"),
    ],
)
def test_tables_that_are_declared_otherwise_differ(other: Relation) -> None:
    assert compare({"analytics.x": TABLE}, {"analytics.x": other}).differences


def test_a_table_of_one_engine_alone_differs() -> None:
    assert compare({"analytics.x": TABLE}, {}).differences == ["analytics.x: only in DuckDB"]
    assert compare({}, {"analytics.x": TABLE}).differences == ["analytics.x: only in Snowflake"]


@pytest.mark.parametrize(
    "duckdb, snowflake",
    [
        (("VARCHAR", None), ("TEXT", None)),
        (("BIGINT", 0), ("NUMBER", 0)),
        (("DECIMAL(18,2)", 2), ("NUMBER", 2)),
        (("TIMESTAMP", None), ("TIMESTAMP_NTZ", None)),
        (("DOUBLE", None), ("FLOAT", None)),
    ],
    ids=["text", "whole", "decimal", "moment", "double"],
)
def test_types_of_both_engines_have_one_name(duckdb: tuple[str, int | None], snowflake: tuple[str, int | None]) -> None:
    assert to_kind(*duckdb) == to_kind(*snowflake)


def test_a_type_that_no_column_should_have_is_refused() -> None:
    with pytest.raises(ValueError, match="TIMESTAMP_TZ"):
        to_kind("TIMESTAMP_TZ", None)


def test_what_is_not_compared_is_explained_in_the_docs() -> None:
    section = (REPOSITORY / "docs" / "snowflake.md").read_text().partition("## Parity")[2].partition("\n## ")[0]
    assert [name for name in (*OF_A_RUN, *OF_AN_ENGINE) if f"`{name}`" not in section] == []


def test_each_engine_difference_is_one_dispatched_macro() -> None:
    """Where SQL differs by engine: in macros/dialect, and how keys are replaced at once. Each has both sides."""
    asks = re.compile(r"adapter\.type\(|target\.type|adapter\.dispatch\(\s*['\"](\w+)")
    found = {
        path.relative_to(MACROS.parent).as_posix(): asks.findall(path.read_text())
        for folder in ("macros", "models", "snapshots", "tests")
        for path in sorted((MACROS.parent / folder).rglob("*.sql"))
        if asks.search(path.read_text())
    }
    assert {path for path in found if not path.startswith("macros/dialect/")} == {"macros/incremental/replace_keys.sql"}
    defined = set(re.findall(r"{% macro (\w+)\(", "".join(path.read_text() for path in MACROS.rglob("*.sql"))))
    dispatched = [name for names in found.values() for name in names]
    assert len(dispatched) >= 10 and "" not in dispatched, "no macro asks which engine it is"
    assert [name for name in dispatched if not {f"default__{name}", f"duckdb__{name}"} <= defined] == []


def test_moments_are_compared_but_for_those_of_a_run() -> None:
    columns = (Column("loaded_at", "moment"), Column("dbt_updated_at", "moment"))
    ours = Relation("table", columns, [(datetime(2026, 3, 1), datetime(2026, 3, 2))])
    assert not compare({"x": ours}, {"x": replace(ours, rows=[(datetime(2026, 3, 1), None)])}).differences
    assert compare({"x": ours}, {"x": replace(ours, rows=[(None, datetime(2026, 3, 2))])}).differences
