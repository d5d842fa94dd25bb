"""Is Snowflake as the product needs it? Nothing here wakes the virtual warehouse: `show` and constants need none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from snowflake.connector.cursor import DictCursor
from snowflake.connector.errors import Error as ConnectorError

from shared.doctor.findings import Finding, fail, ok, warn
from shared.doctor.privileges import Grants, Part, needs_of, to_grant
from shared.errors import GtmError
from shared.settings import WarehouseSettings
from shared.warehouse.snowflake_connection import connect
from shared.warehouse.snowflake_errors import explain_refusal

_LONGEST_IDLE_SECONDS: Final = 600
_GROUP_OR_OTHERS: Final = 0o077


class Session:
    """One login, and `show` statements as dictionaries with lower-case keys."""

    def __init__(self, settings: WarehouseSettings, connection: Any) -> None:
        self.settings = settings
        self._connection = connection

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Raises GtmError: refused."""
        try:
            with self._connection.cursor(DictCursor) as cursor:
                found = cursor.execute(statement).fetchall()
        except ConnectorError as error:
            raise explain_refusal(error, self.settings) from error
        return [{str(name).lower(): value for name, value in row.items()} for row in found]


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
        if file.stat().st_mode & _GROUP_OR_OTHERS:
            yield warn("credentials", f"Others on this machine may read {file}.", f"chmod 600 {file}")
            return
    yield ok("credentials", settings.snowflake_login)


def _examine_session(session: Session, parts: Sequence[Part]) -> Iterator[Finding]:
    settings = session.settings
    yield from _guarded("role", lambda: _role(session))
    yield from _guarded("warehouse", lambda: _warehouse(session))
    grants = Grants({})
    try:
        grants = read_grants(session, settings.snowflake_role)
    except GtmError as error:
        yield fail("grants", error.detail)
        return
    yield from _object_grants(settings, grants)
    yield from _guarded("schemas", lambda: _schemas(session, grants, parts))


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


def _warehouse(session: Session) -> Iterator[Finding]:
    settings = session.settings
    name, role = settings.snowflake_warehouse, settings.snowflake_role
    rows = session.rows(f"show warehouses like '{name}'")
    if not rows:
        yield fail(
            "warehouse", f"{name} is not there, or {role} may not use it.", to_grant(["usage"], "warehouse", name, role)
        )
        return
    row = rows[0]
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


def read_grants(session: Session, role: str) -> Grants:
    """Of the role and of every role that it has, however deep.

    Raises:
        GtmError: the role's grants may not be shown.
    """
    held: dict[tuple[str, str], frozenset[str]] = {}
    waiting, seen = [role.upper()], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for row in session.rows(f"show grants to role {current}"):
            kind, name = str(row["granted_on"]).upper().replace("_", " "), plain_name(str(row["name"]))
            privilege = str(row["privilege"]).upper()
            if kind == "ROLE" and privilege == "USAGE":
                waiting.append(name)
            held[kind, name] = held.get((kind, name), frozenset()) | {privilege}
    return Grants(held)


def _object_grants(settings: WarehouseSettings, grants: Grants) -> Iterator[Finding]:
    role = settings.snowflake_role
    for kind, name in (("database", settings.snowflake_database), ("warehouse", settings.snowflake_warehouse)):
        missing = grants.missing(kind, name, ["USAGE"])
        if missing:
            yield fail(f"grants on {kind}", f"{role} may not use {name}.", to_grant(missing, kind, name, role))


def _schemas(session: Session, grants: Grants, parts: Sequence[Part]) -> Iterator[Finding]:
    settings = session.settings
    database = settings.snowflake_database
    present = {str(row["name"]).lower() for row in session.rows(f"show terse schemas in database {database}")}
    for need in needs_of(parts):
        check, full = f"schema {need.schema}", f"{database}.{need.schema}"
        if need.schema not in present:
            yield fail(
                check,
                f"{full} is not there, or {settings.snowflake_role} may not use it.",
                "gtm warehouse init",
                to_grant(sorted(need.on_schema), "schema", full, settings.snowflake_role),
            )
            continue
        missing = grants.missing("schema", full, need.on_schema)
        tables = session.rows(f"show terse objects in schema {full}")
        lacking = _lacking(grants, full, tables, need.on_tables)
        mends = [to_grant(missing, "schema", full, settings.snowflake_role)] if missing else []
        mends += _table_grants(lacking, full, len(tables), settings.snowflake_role)
        if mends:
            said = ", ".join(
                [*(m.lower() for m in missing), *(f"{len(names)} without {p.lower()}" for p, names in lacking.items())]
            )
            yield fail(check, f"{settings.snowflake_role} lacks: {said}.", *mends)
        elif not tables and need.schema != "analytics_failures":
            yield warn(check, "It has no tables yet.", _who_fills(need.schema))
        else:
            yield ok(check, f"{len(tables)} tables and views")


def _lacking(
    grants: Grants, schema: str, objects: Sequence[Mapping[str, Any]], wanted: frozenset[str]
) -> dict[str, list[tuple[str, str]]]:
    """Privilege -> the tables and views (kind, name) without it. A view can only be read."""
    lacking: dict[str, list[tuple[str, str]]] = {}
    for row in objects:
        kind = "VIEW" if "VIEW" in str(row.get("kind")).upper() else "TABLE"
        name = f"{schema}.{row['name']}"
        for privilege in grants.missing(kind, name, wanted if kind == "TABLE" else wanted & {"SELECT"}):
            lacking.setdefault(privilege, []).append((kind, name))
    return lacking


def _table_grants(lacking: Mapping[str, Sequence[tuple[str, str]]], schema: str, total: int, role: str) -> list[str]:
    """One statement a table where one or two are concerned, else one for all, now and in future."""
    if not lacking:
        return []
    objects = sorted({found for names in lacking.values() for found in names})
    if len(objects) <= 2 and total > 2:
        return [
            to_grant(sorted(p for p, names in lacking.items() if (kind, name) in names), kind, name, role)
            for kind, name in objects
        ]
    return [
        f"grant {', '.join(sorted(lacking)).lower()} on {which} tables in schema {schema} to role {role};"
        for which in ("all", "future")
    ] + [
        f"grant select on {which} views in schema {schema} to role {role};"
        for which in ("all", "future")
        if any(kind == "VIEW" for kind, _ in objects)
    ]


def _who_fills(schema: str) -> str:
    if schema in ("raw", "reverse_etl_outbound"):
        return "gtm warehouse init"
    return "gtm build"


def plain_name(name: str) -> str:
    """Upper case and unquoted, without a function's signature."""
    return name.replace('"', "").upper()


def is_true(value: Any) -> bool:
    """`show` says `true` as text."""
    return str(value).lower() == "true"
