"""What a job has asked of the warehouse, in statements and seconds, and the budget that it is held against.

Counted at the one door: every engine is watched, and what a subprocess has sent (dbt) is added by whoever ran it. A
budget never fails a job: a scoring that stops half-way has cost as much and is worth less. It warns, in the log and in
the job's `notes`.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from shared.logging import get_logger
from shared.settings import WarehouseSettings

log = get_logger(__name__)
_STARTED: Final = "spending_started"


@dataclass
class Spending:
    """Of one attempt of a job, over all its threads.

    `statements` are those that the engine was asked to run, failed ones too, without the COMMIT of each transaction;
    `seconds` is the time until they answered: longer than the warehouse worked, where it had to wake up first.
    """

    statements: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, statements: int, seconds: float) -> None:
        with self._lock:
            self.statements += statements
            self.seconds += seconds


_spending: ContextVar[Spending | None] = ContextVar("warehouse_spending", default=None)


@contextmanager
def counted_spending() -> Iterator[Spending]:
    """Count what this context, and the threads that copy it (`asyncio.to_thread`), asks of any warehouse."""
    spent = Spending()
    token = _spending.set(spent)
    try:
        yield spent
    finally:
        _spending.reset(token)


def add_spending(statements: int, seconds: float) -> None:
    """What a subprocess has asked of the warehouse for the job of this context; nothing where none is counted."""
    spent = _spending.get()
    if spent is not None:
        spent.add(statements, seconds)


def watch(engine: sa.Engine) -> sa.Engine:
    """Count this engine's statements for whichever job sends them. Once an engine; gives it back."""
    sa.event.listen(engine, "before_cursor_execute", _begin)
    sa.event.listen(engine, "after_cursor_execute", _end)
    sa.event.listen(engine, "handle_error", _end_of_failed)
    return engine


def with_spending(result: Mapping[str, Any], spent: Spending, settings: WarehouseSettings) -> dict[str, Any]:
    """The job's result with what it spent, and a note on each budget that it went over.

    On DuckDB, where a statement costs nothing, only where a budget is set. A job that asked nothing says nothing.
    """
    has_budget = settings.budget_statements > 0 or settings.budget_seconds > 0
    if spent.statements == 0 or not (has_budget or settings.kind == "snowflake"):
        return dict(result)
    told: dict[str, Any] = {"statements": spent.statements, "seconds": round(spent.seconds, 3)}
    notes = _over_budget(spent, settings)
    for note in notes:
        log.warning("budget_exceeded", reason=note, **told)
    more = {"notes": [*result.get("notes", []), *notes]} if notes else {}
    return {**result, "warehouse": told, **more}


def _over_budget(spent: Spending, settings: WarehouseSettings) -> list[str]:
    notes = []
    if 0 < settings.budget_statements < spent.statements:
        notes.append(
            f"This job sent {spent.statements:,} statements to the warehouse; GTM_BUDGET_STATEMENTS is "
            f"{settings.budget_statements:,}. docs/cost.md says what each kind of job needs, and what makes it more."
        )
    if 0 < settings.budget_seconds < spent.seconds:
        notes.append(
            f"This job waited {spent.seconds:,.0f} s for the warehouse; GTM_BUDGET_SECONDS is "
            f"{settings.budget_seconds:,.0f}. See the slow ones in QUERY_HISTORY by the job's query tag (docs/cost.md)."
        )
    return notes


def _begin(connection: sa.Connection, *_call: Any) -> None:
    connection.info[_STARTED] = time.monotonic()


def _end(connection: sa.Connection, *_call: Any) -> None:
    _count(connection)


def _end_of_failed(context: sa.engine.ExceptionContext) -> None:
    """The door never closes on an error's account: it is counted and goes on its way."""
    if context.connection is not None:
        _count(context.connection)


def _count(connection: sa.Connection) -> None:
    started = connection.info.pop(_STARTED, None)  # none: it failed before it was sent
    if started is not None:
        add_spending(1, time.monotonic() - started)
