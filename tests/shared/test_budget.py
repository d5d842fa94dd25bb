"""What a job asks of the warehouse is counted at the door, and a budget warns without failing anything."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery

from shared import settings
from shared.contracts import JobKind, JobState
from shared.jobs.context import JobContext
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase, operations_database
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from shared.warehouse.budget import Spending, add_spending, counted_spending, with_spending

Run = Callable[[Callable[[JobContext], dict[str, Any]]], JobView]
QUESTION = sa.text("select 1")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return open_warehouse(WarehouseSettings(GTM_DATA_DIR=tmp_path / "var"))


@pytest.fixture
def run(operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run this work as a job; the job as a caller sees it."""
    monkeypatch.setenv("GTM_OPERATIONS_URL", operations.engine.url.render_as_string(hide_password=False))
    settings.operations_settings.cache_clear()
    store = JobStore(operations)

    def run_one(work: Callable[[JobContext], dict[str, Any]]) -> JobView:
        job = store.start(JobKind.SCORING, {}).job
        run_job(Celery("test", broker="memory://"), job.id, work)
        operations_database().dispose()
        return store.get(job.id)

    return run_one


def ask(warehouse: Warehouse, times: int) -> dict[str, Any]:
    with warehouse.core() as connection:
        for _ in range(times):
            connection.execute(QUESTION)
    return {"seen": times, "notes": ["read from its start"]}


def test_statements_are_counted_in_all_threads_of_a_context_and_nowhere_else(warehouse: Warehouse) -> None:
    ask(warehouse, 2)  # for nobody
    with counted_spending() as spent:
        ask(warehouse, 3)
        asyncio.run(asyncio.to_thread(ask, warehouse, 4))
        with counted_spending() as other:
            ask(warehouse, 1)
    ask(warehouse, 2)
    assert (spent.statements, other.statements) == (7, 1)
    assert spent.seconds > 0


def test_a_statement_that_fails_is_counted_and_fails(warehouse: Warehouse) -> None:
    with counted_spending() as spent, pytest.raises(sa.exc.DBAPIError), warehouse.core() as connection:
        connection.execute(sa.text("select nothing from nowhere"))
    assert spent.statements == 1


def test_what_a_subprocess_sent_is_added_to_the_job_that_runs() -> None:
    with counted_spending() as spent:
        add_spending(40, 2.5)
    add_spending(1, 1)  # for nobody
    assert (spent.statements, spent.seconds) == (40, 2.5)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [("GTM_BUDGET_STATEMENTS", "4", "sent 5 statements"), ("GTM_BUDGET_SECONDS", "0.000001", "waited 0 s")],
)
def test_a_job_over_its_budget_succeeds_and_says_so(
    run: Run, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, told: str
) -> None:
    monkeypatch.setenv(setting, value)
    job = run(lambda _: ask(warehouse, 5))
    assert job.state == JobState.SUCCEEDED and job.result is not None
    first, note = job.result["notes"]
    assert first == "read from its start" and told in note and setting in note
    assert job.result["warehouse"]["statements"] == 5


def test_a_job_within_its_budget_says_what_it_asked_and_warns_of_nothing(
    run: Run, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTM_BUDGET_STATEMENTS", "5")
    job = run(lambda _: ask(warehouse, 5))
    assert job.result is not None
    assert job.result["notes"] == ["read from its start"] and job.result["warehouse"]["statements"] == 5


def test_without_a_budget_duckdb_says_nothing_and_snowflake_does() -> None:
    spent = Spending(3, 0.25)
    assert with_spending({"seen": 1}, spent, WarehouseSettings()) == {"seen": 1}
    on_snowflake = with_spending({"seen": 1}, spent, WarehouseSettings(GTM_WAREHOUSE="snowflake"))
    assert on_snowflake == {"seen": 1, "warehouse": {"statements": 3, "seconds": 0.25}}
    assert with_spending({"seen": 1}, Spending(), WarehouseSettings(GTM_WAREHOUSE="snowflake")) == {"seen": 1}
