"""Who could call: API keys, before somebody is turned away."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from shared.access.key_store import KeyStore, StoredKey
from shared.access.retired import find_retired_setting
from shared.doctor.findings import Finding, fail, ok, skip, warn
from shared.operations.database import OperationsDatabase
from shared.settings import AppSettings, OperationsSettings

_SOON: Final = timedelta(days=14)
_CREATE: Final = "gtm keys create --name {name} --scope {scopes}"


def examine_keys(app: AppSettings, settings: OperationsSettings) -> Finding:
    """At least one where callers need one, and none that runs out unseen. After the operations database was found
    well."""
    check = "api keys"
    if mend := find_retired_setting():
        return fail(check, mend)
    database = OperationsDatabase(settings.database_url)
    try:
        keys, now = KeyStore(database).read_all(), datetime.now(UTC)
    except sa.exc.SQLAlchemyError as error:
        return skip(check, f"They can't be read: {type(error).__name__}.")
    finally:
        database.dispose()
    active = [key for key in keys if key.state(now) == "active"]
    if ending := _find_ending(active, now):
        said = ", ".join(f"{key.name} ({key.key_id}) at {key.expires_at:%Y-%m-%d %H:%M} UTC" for key in ending)
        commands = (_CREATE.format(name=key.name, scopes=" --scope ".join(sorted(key.scopes))) for key in ending)
        return warn(check, f"The last key of these runs out: {said}.", *commands)
    if active or app.env == "local":
        names = len({key.name for key in active})
        without = "; this machine's callers need none (GTM_ENV=local)" if app.env == "local" else ""
        return ok(check, f"{len(active)} active, of {names} names{without}")
    return warn(check, "There is none: nobody can call.", _CREATE.format(name="NAME", scopes="read --scope run"))


def _find_ending(active: list[StoredKey], now: datetime) -> list[StoredKey]:
    """Of each name the key that lasts longest, where that is not long."""
    by_name: dict[str, list[StoredKey]] = defaultdict(list)
    for key in active:
        by_name[key.name].append(key)
    latest = [
        max(keys, key=lambda key: key.expires_at or datetime.max.replace(tzinfo=UTC)) for keys in by_name.values()
    ]
    return [key for key in latest if key.expires_at is not None and key.expires_at < now + _SOON]
