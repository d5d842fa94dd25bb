"""Tables of the operations database: what was asked of the system and how far it is. No business data.

All timestamps are UTC. The job protocol over these tables is in `shared/jobs/` (docs/adr/0003).
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC in Python, naive UTC in the database, so that SQLite and PostgreSQL compare alike."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a timestamp without a time zone can't be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Registry of the operations tables."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: sa.JSON, str: sa.String}


class Job(Base):
    """One row per thing that a caller started and polls."""

    __tablename__ = "jobs"
    __table_args__ = (
        sa.Index("ix_jobs_open", "state", "lease_until"),
        sa.Index("ix_jobs_created", "created_at", "id"),
        sa.Index("ix_jobs_kind_finished", "kind", "finished_at"),
        sa.Index("ix_jobs_lane", "lane", "state"),
        sa.Index("ix_jobs_waiting", "queue", "state"),
    )

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    queue: Mapped[str | None] = mapped_column(sa.String(32))  # None: a pipeline, which its children carry
    request: Mapped[dict[str, Any]]
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    subject: Mapped[str | None] = mapped_column(sa.String(255))  # what a coalesced job is about: an account id
    lane: Mapped[str | None] = mapped_column(sa.String(80))  # one job of a lane runs at a time; None: any number
    state: Mapped[str] = mapped_column(sa.String(16))
    is_ready: Mapped[bool] = mapped_column(default=True)  # False: waits for the child before it
    phase: Mapped[str | None] = mapped_column(sa.String(64))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    unit: Mapped[str | None] = mapped_column(sa.String(32))
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(default=0)  # claims, a killed worker's included
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    progressed_at: Mapped[datetime | None]  # when its worker last got on; a heartbeat alone does not count
    worker: Mapped[str | None] = mapped_column(sa.String(255))
    cancel_requested_at: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]  # not before this moment; None: at once
    parent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)  # among its parent's children
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """One row per caller and `Idempotency-Key` that started a job: the same key and body always give that job."""

    __tablename__ = "idempotency_keys"

    # An API key's name, which its rotation keeps. "": of a time before keys, or of a release from before them.
    caller: Mapped[str] = mapped_column(sa.String(64), primary_key=True, server_default="")
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    operation: Mapped[str] = mapped_column(sa.String(64), primary_key=True)  # the same key may serve two routes
    body_hash: Mapped[str] = mapped_column(sa.String(64))
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    created_at: Mapped[datetime]


class WebhookEvent(Base):
    """One row per event that a sender delivered, however often it was delivered."""

    __tablename__ = "webhook_events"

    source: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    event_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    event_type: Mapped[str] = mapped_column(sa.String(128))
    account_id: Mapped[str | None] = mapped_column(sa.String(255))
    object: Mapped[str | None] = mapped_column(sa.String(64))  # with record_id: the one record that it names, if one
    record_id: Mapped[str | None] = mapped_column(sa.String(64))
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))
    occurred_at: Mapped[datetime | None]  # by the sender's clock, where it tells
    received_at: Mapped[datetime] = mapped_column(index=True)
    ignored_for: Mapped[str | None] = mapped_column(sa.String(32), index=True)  # why nothing follows from it


class ChangedRecord(Base):
    """One row per record that a change event has named and that was not landed again since."""

    __tablename__ = "changed_records"

    source: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    object: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    record_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    generation: Mapped[int]  # events that named it; one that comes while it is read keeps it here
    attempts: Mapped[int] = mapped_column(default=0)  # syncs that took it up since the last event
    changed_at: Mapped[datetime]  # when the last event came


class Generation(Base):
    """One row per (kind, subject) of coalesced jobs: how many requests came, and up to which one a job has taken.

    `requested > taken` after a job's end means that a request came while it ran: one more job is owed.
    """

    __tablename__ = "generations"

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    subject: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    requested: Mapped[int] = mapped_column(default=0)
    taken: Mapped[int] = mapped_column(default=0)
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))


class AccountAttempt(Base):
    """One row per scoring job and account that it has begun with and has no result of: gone when the job has one.

    What is left of a worker that died names the accounts that it was busy with.
    """

    __tablename__ = "account_attempts"

    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    attempts: Mapped[int]  # that have begun with it, this one included


class SourceState(Base):
    """One row per source: what its last sync wants to remember (cursors, the generator's reference date)."""

    __tablename__ = "source_states"

    source: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    state: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class SourceCursor(Base):
    """One row per source and stream: how far what has landed reaches, and the job that got there."""

    __tablename__ = "source_cursors"

    source: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    stream: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    cursor: Mapped[dict[str, Any]]
    is_final: Mapped[bool]  # the stream was read to its end
    job_id: Mapped[str] = mapped_column(sa.String(36))
    load_id: Mapped[str | None] = mapped_column(sa.String(36))  # the last job with rows for RAW; None: none had any
    updated_at: Mapped[datetime]


class SourceField(Base):
    """One row per source, RAW table and field of the source that it was last seen to have."""

    __tablename__ = "source_fields"

    source: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    source_table: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    field: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    field_type: Mapped[str | None] = mapped_column(sa.String(255))
    seen_at: Mapped[datetime]


class BuildRun(Base):
    """One row per build job that came to start dbt: what a retry of it must find unchanged."""

    __tablename__ = "build_runs"

    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"), primary_key=True)
    fence: Mapped[int]  # the attempt that wrote last
    root_id: Mapped[str] = mapped_column(sa.String(36))  # the build whose remainder this one runs; else itself
    settings_version: Mapped[str] = mapped_column(sa.String(64))  # digest of what the project is given, and of the day
    project_version: Mapped[str] = mapped_column(sa.String(64))  # digest of the project's files
    full_refresh: Mapped[bool]
    started_at: Mapped[datetime]


class BuildNode(Base):
    """One row per build job and dbt node that came to its turn; a repeated attempt replaces the earlier one's."""

    __tablename__ = "build_nodes"
    __table_args__ = (
        sa.Index("ix_build_nodes_changes", "job_id", "fence", "revision"),
        sa.Index("ix_build_nodes_unique_id", "unique_id", "started_at"),
    )

    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"), primary_key=True)
    unique_id: Mapped[str] = mapped_column(sa.String(500), primary_key=True)
    position: Mapped[int]  # in the order in which dbt took them
    fence: Mapped[int]  # the attempt, and with `revision` the order of changes: what a follower has seen
    revision: Mapped[int]
    node: Mapped[str] = mapped_column(sa.String(300))
    kind: Mapped[str] = mapped_column(sa.String(32))
    status: Mapped[str] = mapped_column(sa.String(16))
    seconds: Mapped[float | None]
    rows_affected: Mapped[int | None] = mapped_column(sa.BigInteger)
    failures: Mapped[int | None] = mapped_column(sa.BigInteger)
    message: Mapped[str | None] = mapped_column(sa.Text)  # one line, without values of the data
    rows_in: Mapped[str | None] = mapped_column(sa.String(600))  # the relation that holds a test's failing rows
    tested: Mapped[list[str] | None] = mapped_column(sa.JSON)  # of a failed test: the models that it looks at
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ApiKey(Base):
    """One row per API key that was ever made; the key itself is nowhere. Revoked and expired ones stay."""

    __tablename__ = "api_keys"
    __table_args__ = (sa.Index("ix_api_keys_name", "name"),)

    key_id: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(63))  # who uses it; two active keys may share one, for a rotation
    secret_hash: Mapped[str] = mapped_column(sa.String(64))  # SHA-256, hexadecimal
    scopes: Mapped[list[str]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # at most a minute old, by the clock of the API that was called


class AuditEntry(Base):
    """One row per thing that somebody did or was refused, chained by hashes. Never changed: triggers refuse it."""

    __tablename__ = "audit_log"

    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)  # 1, 2, 3, without a gap
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(sa.String(63))  # a key's name, or local, cli, webhook, anonymous
    key_id: Mapped[str | None] = mapped_column(sa.String(12))
    address: Mapped[str | None] = mapped_column(sa.String(64))
    action: Mapped[str] = mapped_column(sa.String(32))
    target: Mapped[str | None] = mapped_column(sa.String(255))  # a job's or key's id; of a refused call its route
    status: Mapped[int | None]  # what was answered over HTTP
    count: Mapped[int]  # refusals that this row stands for; else 1
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    detail: Mapped[dict[str, Any]]
    prev_hash: Mapped[str] = mapped_column(sa.String(64))  # `hash` of the row before
    hash: Mapped[str] = mapped_column(sa.String(64))  # SHA-256 of all other columns (shared/access/audit.py)
