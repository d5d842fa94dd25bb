"""Change events of a CRM: the records that they name, and the pipeline that reads those again (docs/adr/0011).

A record's row is there from the event until a sync has landed the record. At most one pipeline waits and one runs per
source: `shared/jobs/transitions.py` counts the requests that came while one runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.contracts import TERMINAL_STATES, JobKind, JobState, RefreshRequest
from shared.jobs.creation import Ticket
from shared.jobs.fenced import fenced_write
from shared.jobs.transitions import PAUSE_AFTER_FAILURE, lock_job, request_coalesced
from shared.operations.database import OperationsDatabase
from shared.operations.models import ChangedRecord, Generation, Job, WebhookEvent

MOST_RECORDS: Final = 2_000  # that one sync takes up; of each object at most so many are read at once (Salesforce)
_MOST_ATTEMPTS: Final = 24  # of syncs, three a pipeline where what fails may pass; with the pauses over a day
_LONGEST_PAUSE: Final = timedelta(hours=6)
_EVENTS_KEPT: Final = timedelta(days=30)  # senders repeat what was not acknowledged for a day
_MOST_FORGOTTEN: Final = 2_000  # at once: a writer of SQLite holds up all others


@dataclass(frozen=True)
class TakenRecords:
    """Records that a sync has taken up, with the number of events that had named each of them by then."""

    source: str
    generations: dict[tuple[str, str], int]

    @property
    def by_object(self) -> dict[str, list[str]]:
        """Object -> record ids, as a source's option `records` takes them."""
        grouped: dict[str, list[str]] = {}
        for name, record_id in sorted(self.generations):
            grouped.setdefault(name, []).append(record_id)
        return grouped

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(ids) for name, ids in self.by_object.items()}


def request_refresh(
    session: Session, source: str, records: Mapping[str, Iterable[str]], now: datetime, due_at: datetime | None
) -> tuple[Job, Ticket | None]:
    """Remember that these records (object -> ids) have changed, and see to a pipeline that reads them: one that waits
    or runs, or a new one that is due at `due_at`. Gives it, and its ticket if it is to be published.

    A transaction calls it once a source: all records first, in one order, then the pipeline. Two that went back and
    forth between the two would wait for each other.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    table: sa.Table = ChangedRecord.__table__  # type: ignore[assignment]  # a mapped class's table is a Table
    again = {"generation": table.c.generation + 1, "attempts": 0, "changed_at": now}
    statement = insert(table).on_conflict_do_update(index_elements=list(table.primary_key), set_=again)
    common = {"source": source, "generation": 1, "attempts": 0, "changed_at": now}
    wanted = sorted({(name, one) for name, ids in records.items() for one in ids})
    if rows := [{**common, "object": name, "record_id": one} for name, one in wanted]:
        session.connection().execute(statement, rows)
    return _request(session, source, now, due_at)


def take_records(database: OperationsDatabase, source: str, job_id: str, fence: int) -> TakenRecords:
    """What this sync is to read: the records that wait, those of the oldest events first. They stay until `settle`.

    Those that a sync has failed to read before come last, and one object at a time: what an object's records fail by,
    such as a scope that the token lacks, is not to hold up the others'. Where more wait than one sync reads, one more
    pipeline is owed for them.

    Raises:
        LeaseLost: the job is another worker's by now.
    """
    with fenced_write(database, job_id, fence) as session:
        rows, has_more = _choose(session, source)
        taken = TakenRecords(source, {(one.object, one.record_id): one.generation for one in rows})
        for one in rows:
            one.attempts += 1
        _show(session, job_id, taken)
        if has_more:
            generation = session.get(Generation, (JobKind.PIPELINE, source), with_for_update=True)
            if generation is not None:
                generation.requested += 1
        return taken


def settle_records(database: OperationsDatabase, taken: TakenRecords, job_id: str, fence: int) -> None:
    """They have landed: forget those that no event has named since. Raises as `take_records`."""
    landed = [
        {"of_object": name, "of_record": record_id, "of_generation": generation}
        for (name, record_id), generation in sorted(taken.generations.items())
    ]
    forget = sa.delete(ChangedRecord.__table__).where(  # type: ignore[arg-type]  # a mapped class's table is a Table
        ChangedRecord.source == taken.source,
        ChangedRecord.object == sa.bindparam("of_object"),
        ChangedRecord.record_id == sa.bindparam("of_record"),
        ChangedRecord.generation == sa.bindparam("of_generation"),
    )
    with fenced_write(database, job_id, fence) as session:
        if landed:
            session.connection().execute(forget, landed)


def start_overdue(database: OperationsDatabase) -> list[Ticket]:
    """Start a pipeline for each source whose records wait although none waits or runs: after one that failed or was
    cancelled, with a pause that grows from a minute to six hours, also where others are read meanwhile. What many
    attempts could not read waits for a new event.
    """
    with database.read() as session:
        if session.execute(_WAITING_SOURCES.limit(1)).first() is None:
            return []
    tickets = []
    with database.write() as session:
        now = database.now(session)
        waiting: dict[str, list[tuple[int, datetime]]] = {}
        for source, attempts, changed_at in session.execute(_WAITING_SOURCES).all():
            waiting.setdefault(source, []).append((attempts, changed_at))
        for source, groups in waiting.items():
            generation = session.get(Generation, (JobKind.PIPELINE, source))
            last = session.get(Job, generation.job_id) if generation is not None and generation.job_id else None
            if last is None or not _is_overdue(last, groups, now):
                continue
            _, ticket = _request(session, source, now, None)
            tickets += [ticket] if ticket is not None else []
    return tickets


def forget_old_events(database: OperationsDatabase) -> int:
    """Delete some of the webhook events that nobody delivers again; how many. 0: there are none left."""
    with database.read() as session:
        earliest = database.now(session) - _EVENTS_KEPT
        old = sa.select(WebhookEvent.source, WebhookEvent.event_id).where(WebhookEvent.received_at < earliest)
        keys = session.execute(old.limit(_MOST_FORGOTTEN)).tuples().all()
    if not keys:
        return 0
    named = sa.tuple_(WebhookEvent.source, WebhookEvent.event_id).in_(keys)
    with database.write() as session:
        session.execute(sa.delete(WebhookEvent).where(named).execution_options(synchronize_session=False))
    return len(keys)


def _request(session: Session, source: str, now: datetime, due_at: datetime | None) -> tuple[Job, Ticket | None]:
    request: dict[str, Any] = RefreshRequest(source=source).model_dump(mode="json")
    return request_coalesced(session, JobKind.PIPELINE, source, request, now, due_at=due_at)


def _waiting(source: str) -> sa.Select[tuple[ChangedRecord]]:
    return sa.select(ChangedRecord).where(ChangedRecord.source == source, ChangedRecord.attempts < _MOST_ATTEMPTS)


def _choose(session: Session, source: str) -> tuple[Sequence[ChangedRecord], bool]:
    """What to read now, and whether there is more to be read right after it."""
    by_age = (ChangedRecord.changed_at, ChangedRecord.object, ChangedRecord.record_id)
    fresh = _waiting(source).where(ChangedRecord.attempts == 0).order_by(*by_age)
    rows = session.scalars(fresh.limit(MOST_RECORDS + 1)).all()
    has_others = False
    first = (
        None if rows else session.scalars(_waiting(source).order_by(ChangedRecord.attempts, *by_age).limit(1)).first()
    )
    if first is not None:
        of_object = _waiting(source).where(ChangedRecord.object == first.object)
        rows = session.scalars(of_object.order_by(ChangedRecord.attempts, *by_age).limit(MOST_RECORDS + 1)).all()
        # No object is tried twice before each was tried once: else two that fail would follow each other for ever.
        others = _waiting(source).where(ChangedRecord.object != first.object, ChangedRecord.attempts <= first.attempts)
        has_others = session.scalars(others.limit(1)).first() is not None
    return rows[:MOST_RECORDS], has_others or len(rows) > MOST_RECORDS


def _is_overdue(last: Job, groups: Sequence[tuple[int, datetime]], now: datetime) -> bool:
    """`groups`: attempts of records that wait, and when the oldest event of those came."""
    if last.state not in TERMINAL_STATES or last.finished_at is None:
        return False
    if now >= last.finished_at + _pause(min(attempts for attempts, _ in groups)):
        return True
    # One that read others has succeeded: those that failed have waited since their event, pause by pause.
    waits = ((sum(map(_pause, range(1, attempts + 1)), timedelta()), changed_at) for attempts, changed_at in groups)
    return last.state == JobState.SUCCEEDED and any(now >= changed_at + wait for wait, changed_at in waits)


def _pause(attempts: int) -> timedelta:
    pause: timedelta = PAUSE_AFTER_FAILURE * 2**attempts
    return min(pause, _LONGEST_PAUSE)


def _show(session: Session, job_id: str, taken: TakenRecords) -> None:
    """In the pipeline's request, where who looks at it finds what it is for."""
    job = session.get_one(Job, job_id)
    parent = lock_job(session, job.parent_id) if job.parent_id is not None else None
    if parent is not None:
        parent.request = {**parent.request, "records": taken.counts}


_WAITING_SOURCES: Final = (
    sa.select(ChangedRecord.source, ChangedRecord.attempts, sa.func.min(ChangedRecord.changed_at))
    .where(ChangedRecord.attempts < _MOST_ATTEMPTS)
    .group_by(ChangedRecord.source, ChangedRecord.attempts)
)
