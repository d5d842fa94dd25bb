"""Two warehouses row by row: what differs, beside what can't be the same."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.parity.reading import Contents, Relation, Row

_SHOWN: Final = 3
# Of any table: which run wrote the row, and when it did. Everything else is compared, the moments of loads too.
OF_A_RUN: Final[Mapping[str, str]] = {
    "dbt_run_id": "dbt's own id of its run",
    "dbt_updated_at": "moment of the build",
    "mart_updated_at": "dbt_updated_at of the row that was scored",
    "noted_at": "moment of the build",
    "valid_from": "moment of the build that saw the version first",
    "valid_to": "moment of the build that saw it no more",
    "opportunity_version_id": "md5 over the opportunity and valid_from",
    "scored_at": "moment of the scoring",
    "rejected_at": "moment of the load or scoring that rejected it",
    "found_at": "moment of the build whose test found it",
}

# Of one column: each engine's own, and read by nobody else.
OF_AN_ENGINE: Final[Mapping[str, str]] = {
    "analytics_staging.base_hubspot__web_visits.logic_version": (
        "md5 of the model's own SQL, which each engine has in its dialect: a change starts the table over"
    ),
}


@dataclass
class Comparison:
    """Sums over all tables that both have, and what differs as text."""

    tables: int = 0
    rows: int = 0
    cells: int = 0
    left_out: int = 0
    differences: list[str] = field(default_factory=list)

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.tables + other.tables,
            self.rows + other.rows,
            self.cells + other.cells,
            self.left_out + other.left_out,
            self.differences + other.differences,
        )


def compare(duckdb: Contents, snowflake: Contents) -> Comparison:
    """Names, kinds and columns of the relations, and their rows whatever their order."""
    result = Comparison()
    for name in sorted(duckdb.keys() ^ snowflake.keys()):
        result.differences.append(f"{name}: only in {'DuckDB' if name in duckdb else 'Snowflake'}")
    for name in sorted(duckdb.keys() & snowflake.keys()):
        result += _compare_one(name, duckdb[name], snowflake[name])
    return result


def _compare_one(name: str, duckdb: Relation, snowflake: Relation) -> Comparison:
    if (duckdb.kind, duckdb.columns) != (snowflake.kind, snowflake.columns):
        return Comparison(differences=list(_declared_differences(name, duckdb, snowflake)))
    kept = [
        place
        for place, column in enumerate(duckdb.columns)
        if column.name not in OF_A_RUN and f"{name}.{column.name}" not in OF_AN_ENGINE
    ]
    ours, theirs = _rows(duckdb, kept), _rows(snowflake, kept)
    found = list(_row_differences(name, [duckdb.columns[place].name for place in kept], ours, theirs))
    rows = len(duckdb.rows)
    return Comparison(1, rows, rows * len(kept), rows * (len(duckdb.columns) - len(kept)), found)


def _rows(relation: Relation, kept: list[int]) -> Counter[Row]:
    return Counter(tuple(row[place] for place in kept) for row in relation.rows)


def _declared_differences(name: str, duckdb: Relation, snowflake: Relation) -> Iterator[str]:
    if duckdb.kind != snowflake.kind:
        yield f"{name}: a {duckdb.kind} in DuckDB, a {snowflake.kind} in Snowflake"
    ours, theirs = ([f"{column.name} {column.kind}" for column in relation.columns] for relation in (duckdb, snowflake))
    if ours != theirs:
        only = [sorted({*ours} - {*theirs}), sorted({*theirs} - {*ours})]
        yield f"{name}: columns {only[0]} in DuckDB, {only[1]} in Snowflake, or another order"


def _row_differences(name: str, columns: list[str], ours: Counter[Row], theirs: Counter[Row]) -> Iterator[str]:
    """The rows of a table, and of the first ones what differs where the closest row of the other side is plain."""
    only_ours, only_theirs = list((ours - theirs).elements()), list((theirs - ours).elements())
    if not only_ours and not only_theirs:
        return
    yield f"{name}: {len(only_ours)} rows only in DuckDB, {len(only_theirs)} only in Snowflake"
    for row in only_ours[:_SHOWN]:
        closest = max(only_theirs, key=lambda other: _same_cells(row, other), default=None)
        if closest is None:
            yield f"  only in DuckDB: {dict(zip(columns, row, strict=True))}"
            continue
        cells = zip(columns, row, closest, strict=True)
        differing = [f"{column}: {mine!r} / {other!r}" for column, mine, other in cells if mine != other]
        yield f"  {dict(zip(columns[:3], row[:3], strict=False))}: {'; '.join(differing)}"
    if not only_ours:
        yield from (f"  only in Snowflake: {dict(zip(columns, row, strict=True))}" for row in only_theirs[:_SHOWN])


def _same_cells(row: Row, other: Row) -> int:
    return sum(mine == theirs for mine, theirs in zip(row, other, strict=True))
