"""Rows and cents that went in and came out, on mock data as dirty as one likes and on exports that no one here made.

`python -m tests.dbt.conservation [case ...]` prints the figures. What was won, and what runs, is counted in Python,
from the text in RAW of the rows that are not in quarantine; dbt's macros have no part in it.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from services.ingest.domain.raw_schema import RAW_TABLE_NAMES
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from tests.dbt.dbt_session import AS_OF, REPOSITORY, DbtSession
from tests.dbt.load_sequences import fast_folder
from tests.dbt.model_builds import ModelBuilds
from tests.dbt.raw_facts import read_running_arr, read_won_cents
from tests.source_states import MemoryStates
from tests.transform.builds import House, RecordingJob
from tests.unstaged import UNSTAGED

EXPORTS = REPOSITORY.parent / "shared" / "data"
_RAVENSTACK = REPOSITORY / "tests" / "ingest" / "mappings"
_MOCK = {"accounts": 400, "visits": 4000, "as_of": AS_OF, "currencies": ["USD", "EUR"]}
_RATES = {"usd_exchange_rates": {"USD": 1, "EUR": "1.1"}}


@dataclass(frozen=True)
class Case:
    """What is landed, and the settings that it needs."""

    name: str
    syncs: tuple[Mapping[str, Any], ...]
    sources_dir: Path = REPOSITORY / "config" / "sources"
    variables: Mapping[str, Any] = field(default_factory=lambda: _RATES)


def _files(mapping: str, folder: str) -> dict[str, Any]:
    return {"source": "files", "options": {"mapping": mapping, "path": str(EXPORTS / folder)}}


MOCK_CASES = [
    Case(f"mock, dirt {dirt:.0%}", ({"source": "mock", "options": {**_MOCK, "dirt": dirt}},)) for dirt in (0, 0.05, 0.3)
]
EXPORT_CASES = [
    Case("exports", (_files("hubspot_export", "hubspot_seeds"), _files("salesforce_export", "salesforce_seeds"))),
    Case(
        "ravenstack",
        (_files("ravenstack", "ravenstack_saas"),),
        _RAVENSTACK,
        {**_RATES, "date_orders": {"hubspot": "mdy", "salesforce": "dmy", "billing": "dmy"}},
    ),
]


def land(case: Case, folder: Path) -> Path:
    """Ingest's own flow, into a warehouse of its own."""
    house = House(folder)
    settings = IngestSettings(GTM_DATA_DIR=folder, GTM_FILES_ROOTS=str(EXPORTS), GTM_SOURCES_DIR=case.sources_dir)
    for number, request in enumerate(case.syncs):
        sync_source(RecordingJob(f"load-{number}", request), house.warehouse, settings, MemoryStates())
    ensure_public_suffixes(house.warehouse)
    with house.warehouse.reserve_core() as environment:
        return Path(environment["GTM_DUCKDB_CORE_PATH"])


def check(connection: duckdb.DuckDBPyConnection, case: Case) -> Iterator[str]:
    """The figures, line by line. AssertionError where something is lost."""
    yield from _check_rows(connection)
    yield from _check_won(connection, case)
    yield from _check_arr(connection, case)


def _check_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    sums = [0, 0, 0]
    for table in (name for name in RAW_TABLE_NAMES if name not in UNSTAGED):
        system, plural = table.split("_", 1)
        counts = [
            _value(connection, f"select count(*) from raw.{table}"),
            _value(connection, f"select count(*) from analytics_staging.stg_{system}__{plural}"),
            _value(
                connection,
                "select count(distinct source_record_id) from analytics.quarantine_rows"
                f" where source_table = '{table}'",
            ),
        ]
        assert (
            counts[0] == counts[1] + counts[2]
        ), f"{table}: {counts[0]} in RAW, {counts[1]} + {counts[2]} accounted for"
        sums = [total + count for total, count in zip(sums, counts)]
        if counts[0]:
            yield f"  {table:32} {counts[0]:6} in RAW = {counts[1]:6} staged + {counts[2]:5} in quarantine"
    yield f"  {'all tables':32} {sums[0]:6} in RAW = {sums[1]:6} staged + {sums[2]:5} in quarantine, 0 unaccounted for"


def _check_won(connection: duckdb.DuckDBPyConnection, case: Case) -> Iterator[str]:
    """Each attribution model gives, month by month, what RAW says was won."""
    won = read_won_cents(connection, case.variables)
    models = connection.execute("select distinct attribution_model from analytics.fct_revenue_attribution").fetchall()
    for (model,) in sorted(models):
        rows = connection.execute(
            "select strftime(closed_at, '%Y-%m'), cast(sum(attributed_arr_usd) * 100 as bigint)"
            " from analytics.fct_revenue_attribution where attribution_model = ? group by 1",
            [model],
        ).fetchall()
        attributed = {month: cents for month, cents in rows if cents}
        expected = {month: cents for month, cents in won.items() if cents}
        assert attributed == expected, f"{model}: {_differences(attributed, expected)}"
    yield f"  won: {sum(won.values()) / 100:,.2f} USD in {len(won)} months = attributed by each of {len(models)} models"


def _check_arr(connection: duckdb.DuckDBPyConnection, case: Case) -> Iterator[str]:
    """Movements add up from month to month, and at the end to what billing's rows in RAW say is running."""
    broken = connection.execute(
        "select * from (select *, lag(closing_arr_usd, 1, 0) over (partition by account_id order by month) as before"
        " from analytics.fct_arr_movements) where opening_arr_usd <> before or closing_arr_usd <> opening_arr_usd"
        " + new_arr_usd + expansion_arr_usd + contraction_arr_usd + churned_arr_usd + reactivated_arr_usd"
    ).fetchall()
    # An account without any ARR has no rows until it comes back, with an opening of 0.
    assert all(row[-1] == 0 or row[4] == 0 for row in broken) and not [r for r in broken if r[-1] == r[4]], broken[:3]
    last = f"month = date_trunc('month', date '{AS_OF}')"
    closing = "select coalesce(sum(closing_arr_usd), 0) from analytics.fct_arr_movements"
    billed = _value(connection, f"{closing} where {last} and arr_source = 'billing'")
    running = read_running_arr(connection, case.variables, date.fromisoformat(AS_OF))
    assert billed == running, f"billing: {billed} in the marts, {running} in RAW"
    moved = _value(
        connection,
        "select coalesce(sum(new_arr_usd + expansion_arr_usd + contraction_arr_usd + churned_arr_usd"
        " + reactivated_arr_usd), 0) from analytics.fct_arr_movements",
    )
    assert moved == _value(connection, f"{closing} where {last}")
    yield f"  ARR: {moved:,.2f} USD of movements = closing, of which {running:,.2f} billed"


def _value(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def _differences(ours: Mapping[Any, int], expected: Mapping[Any, int]) -> str:
    months = sorted({*ours, *expected}, key=str)
    return "; ".join(f"{m}: {ours.get(m)} for {expected.get(m)}" for m in months if ours.get(m) != expected.get(m))


def main(arguments: list[str]) -> int:
    """Exit code 1 when a row or a cent is missing."""
    cases = MOCK_CASES + (EXPORT_CASES if EXPORTS.is_dir() else [])
    cases = [case for case in cases if not arguments or case.name in arguments]
    with tempfile.TemporaryDirectory(prefix="gtm-conservation-", dir=fast_folder()) as folder:
        builds = ModelBuilds(DbtSession(REPOSITORY / "dbt_transform", Path(folder) / "dbt"))
        for number, case in enumerate(cases):
            database = land(case, Path(folder) / str(number))
            builds.build(database, case.variables)
            with duckdb.connect(str(database), read_only=True) as connection:
                print(case.name)
                for line in check(connection, case):
                    print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
