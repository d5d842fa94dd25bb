"""What an operator does with keys and the audit log, on the operations database itself: so the first key comes to be.

Two doors lead here: `gtm keys` and `gtm audit`, and `python -m shared.access` where there is no `gtm` (the images).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from shared.access.audit import ChainReport, read_entries, verify_chain
from shared.access.callers import COMMAND_LINE
from shared.access.key_store import CreatedKey, KeyStore, StoredKey
from shared.access.keys import parse_lifetime
from shared.errors import TerminalError
from shared.operations.database import OperationsDatabase, operations_database
from shared.operations.migrate import read_level
from shared.operations.outages import outage_as_transient
from shared.settings import operations_settings

_MIGRATE: Final = (
    "Run `python -m shared.operations.migrate` (`make up` does), or set GTM_OPERATIONS_URL or GTM_DATA_DIR."
)


def create_key(name: str, scopes: Sequence[str], expires_in: str | None) -> CreatedKey:
    """Raises InvalidRequest `key-invalid`, `key-limit`; as all here, what `_database()` raises."""
    lifetime = parse_lifetime(expires_in) if expires_in is not None else None
    with _database() as database:
        return KeyStore(database).create(name, scopes, caller=COMMAND_LINE, lifetime=lifetime)


def revoke_key(key_id: str) -> StoredKey:
    """Raises NotFound `key-not-found`. Running APIs refuse the key within CACHED_SECONDS of key_ring.py."""
    with _database() as database:
        return KeyStore(database).revoke(key_id, caller=COMMAND_LINE)


def list_keys() -> list[dict[str, Any]]:
    """All that were ever made, as JSON."""
    with _database() as database:
        now = datetime.now(UTC)
        return [key.to_json(now) for key in KeyStore(database).read_all()]


def verify_log(expected: str | None) -> ChainReport:
    """Walk the audit log. Raises InvalidRequest `audit-hash-invalid`."""
    with _database() as database:
        return verify_chain(database, expected=expected)


def list_log(limit: int, action: str | None, actor: str | None) -> list[dict[str, Any]]:
    """The newest rows, the newest first, as JSON."""
    with _database() as database:
        return read_entries(database, limit=limit, action=action, actor=actor)


def describe_key(created: CreatedKey) -> str:
    """What is said beside a new key, which is printed alone so that it can be piped."""
    key = created.stored
    expiry = f"It expires at {key.expires_at:%Y-%m-%d %H:%M} UTC." if key.expires_at else "It does not expire."
    return (
        f"Key {key.key_id} of {key.name}, for: {', '.join(sorted(key.scopes))}. {expiry} It is shown this once and "
        "stored nowhere. It is sent as `Authorization: Bearer <key>`; `gtm` takes it from GTM_API_KEY."
    )


@contextmanager
def _database() -> Iterator[OperationsDatabase]:
    """Raises TerminalError `operations-not-ready`, TransientError `operations-unavailable`."""
    settings = operations_settings()
    path = sa.make_url(settings.database_url).database if settings.url is None else None
    if path is not None and not Path(path).exists():
        raise _not_ready(f"There is no operations database at {Path(path).resolve()}.")
    with outage_as_transient():
        level = read_level(settings.database_url)
        if level.is_behind:
            raise _not_ready(f"Its schema is at {level.current or 'nothing'}; this version needs {level.head}.")
        yield operations_database(settings)


def _not_ready(what: str) -> TerminalError:
    return TerminalError(
        f"{what} {_MIGRATE}", code="operations-not-ready", title="The operations database is not ready"
    )
