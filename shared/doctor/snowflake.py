"""Is Snowflake as the product needs it? Nothing here wakes the virtual warehouse: `show` and constants need none."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from snowflake.connector.errors import Error as ConnectorError

from shared.doctor.findings import Finding, fail, ok, warn
from shared.doctor.privileges import Grants, Part, to_grant
from shared.doctor.snowflake_schemas import examine_schemas
from shared.doctor.snowflake_session import Session, read_grants
from shared.doctor.surroundings import SurroundingSettings
from shared.errors import GtmError
from shared.settings import WarehouseSettings
from shared.warehouse.snowflake_connection import RESULT_PARAMETERS, connect
from shared.warehouse.snowflake_errors import explain_refusal

_LONGEST_IDLE_SECONDS: Final = 600
_LARGE: Final = "warehouse of large models"
_PAST: Final = "past of raw"
_GROUP: Final = 0o070
_OTHERS: Final = 0o007


def examine_snowflake(settings: WarehouseSettings, parts: Sequence[Part]) -> Iterator[Finding]:
    """Settings, login, role, warehouse, schemas with grants and tables. Stops where nothing further can be asked."""
    try:
        settings.require_snowflake()
        yield from _credentials(settings)
        with closing(connect(settings)) as connection:
            yield ok(
                "login", f"{settings.snowflake_user} at {settings.snowflake_account}, by {settings.snowflake_login}"
            )
            session = Session(settings, connection)
            yield from _examine_session(session, parts)
    except ConnectorError as error:
        refused = explain_refusal(error, settings)
        yield fail("login", refused.detail)
    except GtmError as error:
        yield fail("login" if error.code.startswith(("warehouse-login", "warehouse-key")) else "settings", error.detail)


def _credentials(settings: WarehouseSettings) -> Iterator[Finding]:
    if settings.snowflake_login == "password":
        yield warn(
            "credentials",
            "A password alone: Snowflake ends that for services. Use a key pair (docs/snowflake.md).",
            f"alter user {settings.snowflake_user} set rsa_public_key = '<public key>';",
            "GTM_SNOWFLAKE_PRIVATE_KEY_FILE=/path/to/key.p8",
        )
        return
    file = settings.snowflake_private_key_file
    if settings.snowflake_login == "key-pair" and file is not None and file.exists():
        if file.stat().st_mode & _readers_of(file.stat().st_gid):
            yield warn("credentials", f"Others on this machine may read {file}.", f"chmod 600 {file}")
            return
    yield ok("credentials", settings.snowflake_login)


def _readers_of(group: int) -> int:
    """The bits that nobody needs. A secret that Kubernetes mounts is the group's, whose only member is this process."""
    return _OTHERS if group in {os.getegid(), *os.getgroups()} else _GROUP | _OTHERS


def _examine_session(session: Session, parts: Sequence[Part]) -> Iterator[Finding]:
    settings = session.settings
    yield from _guarded("role", lambda: _role(session))
    yield from _guarded("warehouse", lambda: _warehouse(session))
    if "transform" in parts and (large := SurroundingSettings().dbt_warehouse_large):
        yield from _guarded(_LARGE, lambda: _large_warehouse(session, large))
    grants = Grants({})
    try:
        grants = read_grants(session, settings.snowflake_role)
    except GtmError as error:
        yield fail("grants", error.detail)
        return
    yield from _object_grants(settings, grants)
    if "transform" in parts:
        yield from _guarded("parameters of builds", lambda: _parameters(session))
        yield from _guarded(_PAST, lambda: _kept_past(session))
    yield from _guarded("schemas", lambda: examine_schemas(session, grants, parts))


def _guarded(check: str, examine: Any) -> Iterator[Finding]:
    """A check that is refused fails; the next one may still tell something."""
    try:
        yield from examine()
    except GtmError as error:
        yield fail(check, error.detail)


def _role(session: Session) -> Iterator[Finding]:
    wanted = session.settings.snowflake_role.upper()
    (row,) = session.rows("select current_role() as role")
    if str(row["role"] or "").upper() != wanted:
        yield fail(
            "role",
            f"The session has role {row['role']}, not {wanted}.",
            f"grant role {wanted.lower()} to user {session.settings.snowflake_user};",
        )
        return
    yield ok("role", wanted.lower())


def _parameters(session: Session) -> Iterator[Finding]:
    """What dbt's sessions have of user and account: this one has set them for itself, and gives that up here."""
    wrong = {}
    for name, wanted in RESULT_PARAMETERS.items():
        session.rows(f"alter session unset {name}")
        found = [str(row["value"]) for row in session.rows(f"show parameters like '{name}' in session")]
        if found != [wanted]:
            wrong[name] = ", ".join(found) or "not shown"
    if not wrong:
        yield ok("parameters of builds", ", ".join(RESULT_PARAMETERS.values()))
        return
    yield fail(
        "parameters of builds",
        f"dbt can't set them, and {session.settings.snowflake_user} has "
        f"{', '.join(f'{name} = {value}' for name, value in wrong.items())}: dates would be read or kept otherwise.",
        *(f"alter user {session.settings.snowflake_user} set {name} = '{RESULT_PARAMETERS[name]}';" for name in wrong),
    )


def _kept_past(session: Session) -> Iterator[Finding]:
    """A build reads RAW as it was when it began, however long it takes (ADR 0018). Of tables with a retention of their
    own nothing is asked."""
    schema = f"{session.settings.snowflake_database}.raw"
    found = session.rows(f"show parameters like 'data_retention_time_in_days' in schema {schema}")
    days = [int(row["value"]) for row in found]
    if days and min(days) >= 1:
        yield ok(_PAST, f"{min(days)} days of it are kept")
        return
    said = "none of it is kept" if days else "how much of it is kept is not shown"
    yield fail(
        _PAST,
        f"Builds read RAW as it was when they began, and {said}.",
        f"alter schema {schema} set data_retention_time_in_days = 1;",
    )


def _warehouse(session: Session) -> Iterator[Finding]:
    settings = session.settings
    name, role = settings.snowflake_warehouse, settings.snowflake_role
    row = _find_warehouse(session, name)
    if row is None:
        yield fail(
            "warehouse", f"{name} is not there, or {role} may not use it.", to_grant(["usage"], "warehouse", name, role)
        )
        return
    resumes, idle = is_true(row.get("auto_resume")), int(row.get("auto_suspend") or 0)
    said = f"{name.lower()}: {str(row.get('state')).lower()}, {str(row.get('size')).lower()}, auto-suspend {idle} s"
    if not resumes:
        stopped = str(row.get("state")).upper().startswith("SUSPEND")
        kind = fail if stopped else warn
        yield kind(
            "warehouse", f"{said}; does not resume by itself.", f"alter warehouse {name} set auto_resume = true;"
        )
    elif idle == 0 or idle > _LONGEST_IDLE_SECONDS:
        why = "never suspends" if idle == 0 else f"runs {idle} s for nothing after each job"
        yield warn("warehouse", f"{said}; it {why}.", f"alter warehouse {name} set auto_suspend = 60;")
    else:
        yield ok("warehouse", said)
    monitor = str(row.get("resource_monitor") or "null").lower()
    if monitor == "null":
        yield warn(
            "resource monitor",
            f"Nothing limits what {name.lower()} may cost (or {role.lower()} may not see it).",
            f"alter warehouse {name} set resource_monitor = <monitor>;",
        )
    else:
        yield ok("resource monitor", monitor)


def _large_warehouse(session: Session, name: str) -> Iterator[Finding]:
    role = session.settings.snowflake_role
    if _find_warehouse(session, name) is None:
        said = f"{name} (GTM_DBT_WAREHOUSE_LARGE) is not there, or {role} may not use it: the large models would fail."
        yield fail(_LARGE, said, to_grant(["usage"], "warehouse", name, role))
    else:
        yield ok(_LARGE, name.lower())


def _find_warehouse(session: Session, name: str) -> Mapping[str, Any] | None:
    listed = session.rows(f"show warehouses like '{name}'")
    rows = [row for row in listed if str(row.get("name")).upper() == name.upper()]  # in LIKE, `_` is any character
    return rows[0] if rows else None


def _object_grants(settings: WarehouseSettings, grants: Grants) -> Iterator[Finding]:
    role = settings.snowflake_role
    for kind, name in (("database", settings.snowflake_database), ("warehouse", settings.snowflake_warehouse)):
        missing = grants.missing(kind, name, ["USAGE"])
        if missing:
            yield fail(f"grants on {kind}", f"{role} may not use {name}.", to_grant(missing, kind, name, role))


def is_true(value: Any) -> bool:
    """`show` says `true` as text."""
    return str(value).lower() == "true"
