"""The audit log: who did what, when, from where, with which result. Rows are added and never changed.

Each row holds the hash of the row before and the SHA-256 of its own columns, so that a row that was changed, taken out
or put in breaks the chain from there on. Rows cut off the end break nothing that is left: that shows only beside the
last hash as somebody kept it elsewhere (`gtm audit verify --expect`). Addresses are kept; e-mail addresses, names of
people and records never come in.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.access.callers import Caller
from shared.errors import InvalidRequest
from shared.operations.database import OperationsDatabase
from shared.operations.models import AuditEntry

GENESIS: Final = "0" * 64
_HASH: Final = re.compile("[0-9a-fA-F]{64}")
_HASHED: Final = tuple(column.name for column in AuditEntry.__table__.columns if column.name != "hash")
# Made once: an ORM statement made anew takes longer than all the rest of a row.
_LAST: Final = sa.select(AuditEntry.seq, AuditEntry.hash).order_by(AuditEntry.seq.desc()).limit(1)
_INSERT: Final = sa.insert(AuditEntry.__table__)  # type: ignore[arg-type]  # a mapped class's table is a Table
_PAGE_ROWS: Final = 2_000


@dataclass(frozen=True)
class AuditEvent:
    """What a row is made of. `action` is one of those in docs/security.md; `status` is HTTP's, None where nobody
    called over it."""

    action: str
    caller: Caller
    target: str | None = None
    status: int | None = None
    request_id: str | None = None
    count: int = 1
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ChainReport:
    """`count` whole rows from the first on, `head` the hash of the last of them. `broken_at` is the first row that is
    not as it was written, None where all are. `has_expected` is None where nothing was expected."""

    count: int
    head: str
    broken_at: int | None = None
    fault: str | None = None
    has_expected: bool | None = None

    @property
    def is_whole(self) -> bool:
        """Nothing was changed, as far as the log itself and the hash kept elsewhere can tell."""
        return self.broken_at is None and self.has_expected is not False

    def to_json(self) -> dict[str, Any]:
        """For `--json` and for whoever keeps the head elsewhere."""
        found = {"count": self.count, "head": self.head, "is_whole": self.is_whole}
        return {**found, "broken_at": self.broken_at, "fault": self.fault, "has_expected": self.has_expected}


def append_entry(database: OperationsDatabase, session: Session, event: AuditEvent) -> None:
    """Add a row in the caller's transaction, which must be a writing one and do nothing after this: the chain is
    locked until it ends, and whoever holds it must wait for nobody."""
    database.lock_name(session, "audit-log")
    connection = session.connection()
    last = connection.execute(_LAST).first()
    seq, head = last if last else (0, GENESIS)
    values: dict[str, Any] = {
        "seq": seq + 1,
        "at": database.now(session),
        "actor": event.caller.name,
        "key_id": event.caller.key_id,
        "address": event.caller.address,
        "action": event.action,
        "target": event.target,
        "status": event.status,
        "count": event.count,
        "request_id": event.request_id,
        "detail": event.detail,
        "prev_hash": head,
    }
    connection.execute(_INSERT, {**values, "hash": hash_entry(values)})


def hash_entry(values: dict[str, Any]) -> str:
    """SHA-256, hexadecimal, of the columns as canonical JSON: keys sorted, no spaces, ASCII, times in UTC with
    microseconds."""
    plain = {name: _plain(value) for name, value in values.items()}
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def verify_chain(database: OperationsDatabase, *, expected: str | None = None) -> ChainReport:
    """Walk all rows, the oldest first, to the first that is not as it was written.

    `expected` is the hash of any row, as it was kept elsewhere: a log without it was cut off or made anew.

    Raises:
        InvalidRequest: `audit-hash-invalid`, where `expected` is no hash. Nothing stands in for one: an empty text,
            as of a file that is gone, must not be taken for nothing expected.
    """
    expected = _to_hash(expected) if expected is not None else None
    count, head, was_seen = 0, GENESIS, expected == GENESIS
    broken_at, fault = None, None
    try:
        for entry in _walk(database):
            if fault := _find_fault(entry, count + 1, head):
                broken_at = entry.seq
                break
            count, head = entry.seq, entry.hash
            was_seen = was_seen or head == expected
    except _Unreadable:
        broken_at, fault = count + 1, "it holds a value that no row was written with"
    return ChainReport(count, head, broken_at, fault, was_seen if expected is not None else None)


def read_entries(
    database: OperationsDatabase, *, limit: int, action: str | None = None, actor: str | None = None
) -> list[dict[str, Any]]:
    """The newest rows, the newest first, as JSON."""
    query = sa.select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(limit)
    if action is not None:
        query = query.where(AuditEntry.action == action)
    if actor is not None:
        query = query.where(AuditEntry.actor == actor)
    with database.read() as session:
        return [
            {name: _plain(value) for name, value in {**_values(entry), "hash": entry.hash}.items()}
            for entry in session.scalars(query)
        ]


def _to_hash(text: str) -> str:
    if not _HASH.fullmatch(text.strip()):
        raise InvalidRequest(
            f"{text[:80]!r} is no hash of the audit log: 64 hexadecimal digits are, as `gtm audit verify` prints them. "
            "Look at what was kept elsewhere: without it nobody can tell whether rows were cut off.",
            code="audit-hash-invalid",
            title="Not a hash of the audit log",
        )
    return text.strip().lower()


class _Unreadable(Exception):
    """The next row's columns are not of their types: SQLite takes anything into them."""


def _walk(database: OperationsDatabase) -> Iterator[AuditEntry]:
    """In pages of a transaction each: a long log holds up nobody, and no statement of it runs long.

    Raises:
        _Unreadable: after the rows before that one.
    """
    after, rows = None, _PAGE_ROWS
    while True:
        query = sa.select(AuditEntry).order_by(AuditEntry.seq).limit(rows)
        try:
            with database.read() as session:
                page = session.scalars(query if after is None else query.where(AuditEntry.seq > after)).all()
        except (ValueError, TypeError) as error:
            if rows == 1:
                raise _Unreadable from error
            rows = 1  # which one it is
            continue
        yield from page
        if len(page) < rows:
            return
        after = page[-1].seq


def _find_fault(entry: AuditEntry, seq: int, head: str) -> str | None:
    if entry.seq != seq:
        return f"row {seq} is missing" if entry.seq > seq else f"row {entry.seq} is no row of the chain"
    if entry.prev_hash != head:
        return "it does not follow the row before: one of the two was replaced"
    if entry.hash != hash_entry(_values(entry)):
        return "its columns were changed after it was written"
    return None


def _values(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _HASHED}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
