"""API keys as rows of the operations database. Whatever makes or ends one is in the audit log, in one transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.access.audit import AuditEvent, append_entry
from shared.access.callers import Caller
from shared.access.keys import Scope, check_name, check_scopes, implied_scopes, known_scopes, mint_key
from shared.errors import InvalidRequest, NotFound, TransientError
from shared.operations.database import OperationsDatabase
from shared.operations.models import ApiKey, AuditEntry

MOST_ACTIVE: Final = 2
"""Keys of one name: the one in use, and the one that replaces it."""


@dataclass(frozen=True)
class StoredKey:
    """A key as it is kept. Times are UTC; `expires_at` None: never."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    secret_hash: str = field(repr=False)

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Only an active one opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def to_caller(self, address: str | None) -> Caller:
        return Caller(self.name, implied_scopes(self.scopes), self.key_id, address)

    def to_json(self, now: datetime) -> dict[str, Any]:
        """All but the hash."""
        times = {name: getattr(self, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
        shown = {name: time.isoformat(timespec="seconds") if time else None for name, time in times.items()}
        common = {"key_id": self.key_id, "name": self.name, "scopes": sorted(self.scopes), "state": self.state(now)}
        return {**common, **shown}


@dataclass(frozen=True)
class CreatedKey:
    """A new key with its text, which nobody can be shown again."""

    stored: StoredKey
    text: str = field(repr=False)


class KeyStore:
    """Each method is one transaction."""

    def __init__(self, database: OperationsDatabase) -> None:
        self._database = database

    def create(
        self, name: str, scopes: Iterable[str], *, caller: Caller, lifetime: timedelta | None = None
    ) -> CreatedKey:
        """A new key; `lifetime` None: until it is revoked.

        Raises:
            InvalidRequest: `key-invalid`; `key-limit`, where the name has two active keys.
        """
        name, known = check_name(name), check_scopes(scopes)
        minted = mint_key()
        with self._database.write() as session:
            self._database.lock_name(session, f"api-keys-{name}")
            now = self._database.now(session)
            _require_room(session, name, now)
            row = ApiKey(
                key_id=minted.key_id,
                name=name,
                secret_hash=minted.secret_hash,
                scopes=sorted(known),
                created_at=now,
                expires_at=now + lifetime if lifetime else None,
            )
            session.add(row)
            session.flush()
            detail = {"name": name, "scopes": row.scopes}
            append_entry(self._database, session, AuditEvent("key.create", caller, row.key_id, detail=detail))
            return CreatedKey(_to_stored(row), minted.text)

    def revoke(self, key_id: str, *, caller: Caller) -> StoredKey:
        """End a key for good. One that is revoked already stays as it is.

        Where the audit log can't be added to, the key ends without it, and a repeat adds the row that is missing.

        Raises:
            NotFound: `key-not-found`.
            TransientError: `revoked-unrecorded`, the key is revoked and the audit log does not say so.
        """
        try:
            with self._database.write() as session:
                row = self._end(session, key_id)
                if not _is_recorded(session, key_id):
                    event = AuditEvent("key.revoke", caller, key_id, detail={"name": row.name})
                    append_entry(self._database, session, event)
                return _to_stored(row)
        except sa.exc.DBAPIError as error:
            with self._database.write() as session:
                self._end(session, key_id)
            raise TransientError(
                f"The key {key_id} is revoked, but the audit log could not be added to. `gtm audit verify` says "
                "whether it is whole; revoke the key again, and the row is written.",
                code="revoked-unrecorded",
                title="Revoked, and not in the audit log",
            ) from error

    def _end(self, session: Session, key_id: str) -> ApiKey:
        row = session.get(ApiKey, key_id, with_for_update=True)
        if row is None:
            raise NotFound(
                f"There is no key {key_id!r}. `gtm keys list` has the ids: the twelve characters after `gtm_`.",
                code="key-not-found",
                title="Unknown key",
            )
        if row.revoked_at is None:
            row.revoked_at = self._database.now(session)
            session.flush()
        return row

    def read_all(self) -> list[StoredKey]:
        """By name, the newest of a name first."""
        query = sa.select(ApiKey).order_by(ApiKey.name, ApiKey.created_at.desc(), ApiKey.key_id)
        with self._database.read() as session:
            return [_to_stored(row) for row in session.scalars(query)]

    def find(self, key_id: str) -> StoredKey | None:
        """None for an id that no key has."""
        with self._database.read() as session:
            row = session.get(ApiKey, key_id)
            return _to_stored(row) if row is not None else None

    def has_active(self) -> bool:
        """Whether anybody could call at all."""
        with self._database.read() as session:
            return bool(session.scalar(_active(datetime.now(UTC)).limit(1)))

    def note_uses(self, used: Mapping[str, datetime]) -> None:
        """Key id -> when it was last used; an earlier time than the one stored changes nothing."""
        with self._database.write() as session:
            for key_id, moment in sorted(used.items()):
                is_earlier = sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < moment)
                chosen = sa.update(ApiKey).where(ApiKey.key_id == key_id, is_earlier)
                session.execute(chosen.values(last_used_at=moment))


def _active(now: datetime) -> sa.Select[tuple[str]]:
    is_running = sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    return sa.select(ApiKey.key_id).where(ApiKey.revoked_at.is_(None), is_running)


def _is_recorded(session: Session, key_id: str) -> bool:
    chosen = sa.select(AuditEntry.seq).where(AuditEntry.action == "key.revoke", AuditEntry.target == key_id)
    return session.scalar(chosen.limit(1)) is not None


def _require_room(session: Session, name: str, now: datetime) -> None:
    active = session.scalars(_active(now).where(ApiKey.name == name).order_by(ApiKey.created_at)).all()
    if len(active) >= MOST_ACTIVE:
        raise InvalidRequest(
            f"{name} has {len(active)} active keys, {' and '.join(active)}: {MOST_ACTIVE} are enough for a rotation. "
            f"Revoke the one that nobody uses any more (`gtm keys list` has when each was last used): "
            f"`gtm keys revoke {active[0]}`.",
            code="key-limit",
            title="Too many active keys of one name",
            keys=list(active),
        )


def _to_stored(row: ApiKey) -> StoredKey:
    return StoredKey(
        key_id=row.key_id,
        name=row.name,
        scopes=known_scopes(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        secret_hash=row.secret_hash,
    )
