"""Real builds that tests share: dbt takes seconds to start, so what can be looked at twice is built once."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.transform.adapters.build_record import BuildRecord
from services.transform.adapters.weights_file import read_scoring_weights
from services.transform.domain.build_plan import BuildPlan, Remainder
from services.transform.domain.run_results import NodeResult
from services.transform.flow import build_marts
from services.transform.settings import TransformSettings
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.transform.raw_rows import ROWS, land_rows

REPOSITORY = Path(__file__).parents[2]
AUDIT_COLUMNS = ("job_id", "dbt_run_id", "dbt_updated_at")
AS_OF = date(2026, 3, 1)


@dataclass
class ListRecord:
    """A build's memory without a database; `remainders` are what earlier builds left."""

    plans: list[BuildPlan] = field(default_factory=list)
    noted: list[NodeResult] = field(default_factory=list)
    results: list[NodeResult] = field(default_factory=list)
    remainders: dict[str, Remainder] = field(default_factory=dict)

    def remainder_of(self, build_id: str) -> Remainder:
        return self.remainders[build_id]

    def is_disturbed(self, remainder: Remainder) -> bool:
        return False

    def begin(self, plan: BuildPlan) -> None:
        self.plans.append(plan)

    def note(self, node: NodeResult) -> None:
        self.noted.append(node)

    def flush(self) -> None:
        pass

    def complete(self, results: Sequence[NodeResult]) -> None:
        known = {result.unique_id: result for result in [*self.results, *results]}
        self.results = list(known.values())


class RecordingJob:
    """A job that remembers what it was told; `stops_with` is raised as soon as one node is done."""

    def __init__(
        self, job_id: str, request: Mapping[str, Any] | None = None, stops_with: Exception | None = None
    ) -> None:
        self.job_id = job_id
        self.request = request or {}
        self.reported: list[tuple[str, int, int | None, str]] = []
        self.record = ListRecord()
        self.stops_with = stops_with

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        self.reported.append((phase, done, total, unit))
        self.check()

    def check(self) -> None:
        if self.stops_with is not None and self.reported and self.reported[-1][1] > 0:
            raise self.stops_with


@dataclass
class House:
    """A warehouse in a folder of its own, and builds in it."""

    data_dir: Path
    project_dir: Path = REPOSITORY / "dbt_transform"
    warehouse: Warehouse = field(init=False)

    def __post_init__(self) -> None:
        self.warehouse = open_warehouse(WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=self.data_dir))

    @property
    def settings(self) -> TransformSettings:
        return TransformSettings(
            GTM_DATA_DIR=self.data_dir,
            GTM_DBT_PROJECT_DIR=self.project_dir,
            GTM_SCORING_WEIGHTS=REPOSITORY / "config" / "scoring_weights.yml",
            GTM_AS_OF_DATE=AS_OF,
            GTM_DBT_STOP_SECONDS=5,
        )

    def build(self, job: RecordingJob, record: BuildRecord | None = None) -> dict[str, Any]:
        return build_marts(job, self.warehouse, self.settings, record or job.record)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.core() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql).all()]

    def tables(self, *schemas: str) -> list[str]:
        """`schema.name` of tables and views."""
        names = "', '".join(schemas)
        return [
            f"{schema}.{name}"
            for schema, name in self.rows(
                f"select table_schema, table_name from information_schema.tables where table_schema in ('{names}')"
                " order by all"
            )
        ]

    def checksums(self) -> dict[str, tuple[int, str]]:
        """Rows and a checksum by table of ANALYTICS, without the audit columns and whatever the rows' order."""
        with self.warehouse.core() as connection:
            return {name: _checksum(connection, name) for name in self.tables("analytics", "analytics_staging")}


def _checksum(connection: sa.Connection, name: str) -> tuple[int, str]:
    rows, total = connection.exec_driver_sql(
        f"select count(*), coalesce(sum(hash(t)), 0) from (select columns(c -> c not in {AUDIT_COLUMNS}) from {name}) t"
    ).one()
    return int(rows), str(total)


@dataclass(frozen=True)
class BuiltTwice:
    """The hand-made RAW, built by the service and again by a developer's `dbt build`, unit tests included."""

    house: House
    job: RecordingJob
    first: dict[str, Any]
    checksums_of_first: dict[str, tuple[int, str]]
    second: subprocess.CompletedProcess[str]


@cache
def build_twice(folder: Path) -> BuiltTwice:
    """Once a test session, whichever test comes first."""
    house = House(folder / "built-twice")
    land_rows(house.warehouse, ROWS)
    job = RecordingJob("first")
    first = house.build(job)
    checksums = house.checksums()
    return BuiltTwice(house, job, first, checksums, _dbt_build(house))


def _dbt_build(house: House) -> subprocess.CompletedProcess[str]:
    weights, version = read_scoring_weights(house.settings.scoring_weights_path)
    variables = {**house.settings.to_variables(), "scoring_weights": weights.to_rows(), "weights_version": version}
    with house.warehouse.reserve_core() as environment:
        return subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "build", "--vars", json.dumps(variables)]
            + ["--project-dir", "dbt_transform", "--profiles-dir", "dbt_transform"]
            + ["--target-path", str(house.data_dir / "plain" / "target")]
            + ["--log-path", str(house.data_dir / "plain" / "logs")]
            + ["--partial-parse-file-path", str(house.settings.dbt_dir / "partial_parse.msgpack")],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=150,
        )


def copy_of(house: House, folder: Path) -> House:
    """The same warehouse and parsed project elsewhere, for a test that changes them."""
    shutil.copytree(house.data_dir, folder, ignore=shutil.ignore_patterns("runs", "*.lock"))
    return House(folder)
