"""A burst of webhook events wakes Snowflake once a coalescing window: events cost it nothing, rescores are few."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.scoring import tasks
from services.scoring.adapters.events import receive_events
from services.scoring.domain.webhooks import WebhookEvent
from services.scoring.settings import scoring_settings
from shared import settings
from shared.contracts import JobKind, JobState
from shared.jobs import dispatch, transitions
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase
from shared.warehouse import Warehouse, engine, open_warehouse
from tests.emulator import SnowflakeEmulator, new_database
from tests.fakes.ollama import FakeOllama
from tests.scoring.conftest import account, write_marts

ACCOUNT = "hubspot:1"
# Over the wire in the first rescore of a new warehouse, which makes the tables; of these, those that need it running.
MOST_STATEMENTS, MOST_WAKING = 57, 24
MOST_OF_UNCHANGED, MOST_WAKING_OF_UNCHANGED = 30, 13


@pytest.fixture
def house(
    emulator: SnowflakeEmulator, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """Scoring as a worker has it, on the emulator, with marts of two accounts."""
    with FakeOllama() as model:
        named = {**emulator.environment(new_database()), "OLLAMA_HOST": model.url}
        for name, value in named.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(dispatch, "publish", lambda *_: None)
        monkeypatch.setattr(transitions, "PAUSE_BETWEEN_RESCORES", timedelta(0))
        monkeypatch.setattr(engine, "_warehouses", {})
        settings.warehouse_settings.cache_clear()
        scoring_settings.cache_clear()
        warehouse = open_warehouse(settings.warehouse_settings())
        with warehouse.core(write=True) as connection:
            connection.exec_driver_sql("create schema if not exists analytics")
        write_marts(warehouse, [account(1), account(2)])
        yield warehouse
        warehouse._engine.dispose()  # type: ignore[attr-defined]


def deliver(operations: OperationsDatabase, first: int, last: int) -> None:
    """Events of one account, ten a delivery."""
    for start in range(first, last, 10):
        events = [
            WebhookEvent(f"event-{number}", "account.changed", account_id=ACCOUNT)
            for number in range(start, start + 10)
        ]
        receive_events(operations, "generic", events)


def rescores(operations: OperationsDatabase) -> list[JobView]:
    return sorted(JobStore(operations).page(kind=JobKind.RESCORE).items, key=lambda job: job.created_at)


def run(operations: OperationsDatabase, job: JobView) -> dict[str, Any]:
    tasks.rescore_account(job.id)
    done = JobStore(operations).get(job.id)
    assert done.state == JobState.SUCCEEDED and done.result is not None, done.error
    return done.result


def test_a_burst_wakes_the_warehouse_once_and_what_came_meanwhile_once_more(
    house: Warehouse, emulator: SnowflakeEmulator, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.reset()
    deliver(operations, 0, 200)
    assert emulator.statements()["statements"] == 0, "events are stored in the operations database"
    (first,) = rescores(operations)
    read_plan = tasks.run_rescore

    def while_it_runs(*arguments: Any) -> dict[str, Any]:
        deliver(operations, 200, 300)
        return read_plan(*arguments)

    monkeypatch.setattr(tasks, "run_rescore", while_it_runs)
    result = run(operations, first)
    assert result["scored"] == 1
    told = emulator.statements()
    assert told["statements"] <= MOST_STATEMENTS and told["warehouse"] <= MOST_WAKING
    assert 0 < result["warehouse"]["statements"] <= told["statements"], "what the job tells is what came over the wire"
    monkeypatch.setattr(tasks, "run_rescore", read_plan)
    _, second = rescores(operations)
    emulator.reset()
    assert run(operations, second)["unchanged"] == 1
    told = emulator.statements()
    assert told["statements"] <= MOST_OF_UNCHANGED and told["warehouse"] <= MOST_WAKING_OF_UNCHANGED
    assert not {"merge", "insert", "put", "ddl"} & told["by_kind"].keys(), "nothing has changed: nothing is written"
    assert len(rescores(operations)) == 2, "300 events of one account are two rescores"
