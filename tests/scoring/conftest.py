"""A warehouse with the two marts that scoring reads, written by hand from docs/contracts.md, and a scriptable model."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.settings import ScoringSettings
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.fakes.ollama import FakeOllama

_DDL = (
    """create table if not exists analytics.dim_accounts (
        account_id text, account_name text, domain text, industry text, region text, vehicle_type text,
        employees integer, fleet_size integer, visits_90d integer, high_intent_visits_90d integer,
        days_since_last_visit integer, engaged_contacts_90d integer, open_opportunities integer,
        open_pipeline_usd decimal(18,2), is_active_prospect boolean, fit_score integer, engagement_score integer,
        baseline_score integer, profile_hash text, facts_hash text, weights_version text,
        dbt_run_id text, dbt_updated_at timestamp)""",
    """create table if not exists analytics.fct_account_score_factors (
        account_id text, factor text, component text, value text, points decimal(6,2), max_points decimal(6,2),
        explanation text, dbt_run_id text, dbt_updated_at timestamp)""",
)

_NOT_HASHED = ("dbt_", "account_name", "is_active_prospect", "weights_version", "facts_hash")
_NO_FACTS = ("dbt_", "is_active_prospect", "facts_hash")


@dataclass
class FakeJob:
    """A job that notes what it is told. `on_check` may raise, as a cancelled or superseded job does."""

    job_id: str = "job-1"
    request: dict[str, Any] = field(default_factory=dict)
    reports: list[tuple[str, int, int | None]] = field(default_factory=list)
    checks: int = 0
    on_check: Callable[[], None] = lambda: None

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        self.reports.append((phase, done, total))

    def check(self) -> None:
        self.checks += 1
        self.on_check()


def account(number: int, **changes: Any) -> dict[str, Any]:
    """A row of `dim_accounts`; higher numbers have higher baselines."""
    row: dict[str, Any] = {
        "account_id": f"hubspot:{number}",
        "account_name": f"Nordlicht {number}",
        "domain": f"nordlicht{number}.example",
        "industry": "logistics",
        "region": "europe",
        "vehicle_type": "trucks",
        "employees": 120,
        "fleet_size": 60 + number,
        "visits_90d": 12,
        "high_intent_visits_90d": 3,
        "days_since_last_visit": 4,
        "engaged_contacts_90d": 2,
        "open_opportunities": 0,
        "open_pipeline_usd": Decimal(0),
        "is_active_prospect": True,
        "weights_version": "weights-1",
        "fit_score": 30,
        "engagement_score": min(50, number),
        "dbt_run_id": "build-1",
        "dbt_updated_at": datetime(2026, 1, 1),
    }
    row |= changes
    row.setdefault("baseline_score", row["fit_score"] + row["engagement_score"])
    hashed = sorted((key, str(value)) for key, value in row.items() if not key.startswith(_NOT_HASHED))
    row.setdefault("profile_hash", hashlib.md5(repr(hashed).encode()).hexdigest())
    facts = sorted((key, str(value)) for key, value in row.items() if not key.startswith(_NO_FACTS))
    row.setdefault("facts_hash", hashlib.md5(repr(facts).encode()).hexdigest())
    return row


def factors(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Factors as the mart has them: two strong ones, a weak one."""
    points = {
        "fleet_size": ("fit", 20 if row["fleet_size"] else -10, 20, row["fleet_size"]),
        "industry": ("fit", 10, 14, row["industry"]),
        "visits": ("engagement", 5 if row["visits_90d"] else -3, 10, row["visits_90d"]),
        "open_pipeline": ("engagement", 7 if row["open_pipeline_usd"] else 0, 7, row["open_pipeline_usd"]),
    }
    return [
        {
            "account_id": row["account_id"],
            "factor": factor,
            "component": component,
            "value": str(value),
            "points": Decimal(got),
            "max_points": Decimal(most),
            "explanation": f"{factor} is {value}",
            "dbt_run_id": row["dbt_run_id"],
            "dbt_updated_at": row["dbt_updated_at"],
        }
        for factor, (component, got, most, value) in points.items()
    ]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A real DuckDB warehouse without any table."""
    return open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path / "var"))


BuildMarts = Callable[..., None]


@pytest.fixture
def build_marts(warehouse: Warehouse) -> BuildMarts:
    """Stands for a build: replaces both marts by these accounts."""
    return lambda *rows: write_marts(warehouse, rows)


def write_marts(warehouse: Warehouse, rows: Iterable[dict[str, Any]]) -> None:
    """What `build_marts` does, for a warehouse that several tests look at."""
    with warehouse.core(write=True) as connection:
        for statement in _DDL:
            connection.execute(sa.text(statement))
        for table in ("dim_accounts", "fct_account_score_factors"):
            connection.execute(sa.text(f"delete from analytics.{table}"))
        if accounts := list(rows):
            _insert(connection, "analytics.dim_accounts", accounts)
            found = [factor for row in accounts for factor in factors(row)]
            _insert(connection, "analytics.fct_account_score_factors", found)


def _insert(connection: sa.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """All by one statement: DuckDB takes a millisecond for each, however small."""
    columns = ", ".join(rows[0])
    values = ", ".join(f"({', '.join(f':{name}_{number}' for name in rows[0])})" for number in range(len(rows)))
    bound = {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}
    connection.execute(sa.text(f"insert into {table} ({columns}) values {values}"), bound)


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    """A model server that answers well until a test scripts it otherwise."""
    with FakeOllama() as fake:
        yield fake


@pytest.fixture
def settings(ollama: FakeOllama) -> ScoringSettings:
    """Settings that point at the fake and never wait."""
    return to_settings(ollama.url)


def to_settings(host: str, **changes: Any) -> ScoringSettings:
    """Scoring settings without pauses, and with little patience."""
    return ScoringSettings(
        **{"OLLAMA_HOST": host, "GTM_MODEL_BACKOFF_SECONDS": 0, "GTM_MODEL_PATIENCE_SECONDS": 0.2, **changes}
    )


def read_table(warehouse: Warehouse, table: str) -> list[dict[str, Any]]:
    """Every row of an outbound table, in the order of its first column."""
    with warehouse.outbound() as connection:
        rows = connection.execute(sa.text(f"select * from reverse_etl_outbound.{table} order by 1, 2")).mappings().all()
    return [dict(row) for row in rows]
