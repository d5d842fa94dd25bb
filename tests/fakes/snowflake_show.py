"""`show grants`, `show warehouses` and `show objects`, which tell of an account that fakesnow has none of."""

import re
from typing import TYPE_CHECKING, Final

from tests.fakes.snowflake_results import Answer

if TYPE_CHECKING:
    from tests.fakes.snowflake_session import Session

_GRANTS: Final = re.compile(r"show\s+grants\s+to\s+(?:database\s+)?role\s+([\w.]+)", re.I)
_OBJECTS: Final = re.compile(r"show\s+terse\s+objects\s+in\s+schema\s+(\w+)\.(\w+)", re.I)
_WAREHOUSES: Final = re.compile(r"show\s+warehouses", re.I)
_GRANT_COLUMNS: Final = ["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name", "grant_option"]
_OBJECT_COLUMNS: Final = ["created_on", "name", "kind", "database_name", "schema_name"]
_WAREHOUSE_COLUMNS: Final = ["name", "state", "type", "size", "auto_suspend", "auto_resume", "resource_monitor"]


def show_account(session: "Session", text: str) -> Answer | None:
    """The rows of a fault `show` whose `match` the statement meets, else those of a role that owns everything."""
    from tests.fakes.snowflake_commands import rows_of

    if found := _GRANTS.match(text):
        grants = _scripted(session, text)
        own = [] if found.group(1).upper() == "PUBLIC" else _of_an_owner(session)
        given = own if grants is None else grants
        rows = [(None, *grant, "ROLE", found.group(1).upper(), "false") for grant in given]
        return rows_of(session, _GRANT_COLUMNS, rows)
    if found := _OBJECTS.match(text):
        return rows_of(session, _OBJECT_COLUMNS, _objects(session, found.group(1).upper(), found.group(2).upper()))
    if _WAREHOUSES.match(text):
        stopped = session.account.is_suspended
        warehouse = [session.warehouse.upper(), "SUSPENDED" if stopped else "STARTED", "STANDARD", "X-Small", "60"]
        warehouse += ["false" if stopped else "true", "GTM_MONITOR"]
        scripted = _scripted(session, text)
        return rows_of(session, _WAREHOUSE_COLUMNS, [warehouse] if scripted is None else scripted)
    return None


def _scripted(session: "Session", text: str) -> list[list[str]] | None:
    fault = session.account.faults.take("show", text)
    return None if fault is None else fault.rows


def _objects(session: "Session", database: str, schema: str) -> list[tuple[str | None, ...]]:
    """Those that the role has a privilege on: information_schema's."""
    listing = (
        "select null, table_name, case when table_type = 'VIEW' then 'VIEW' else 'TABLE' end, table_catalog,"
        f' table_schema from "{database}"._fs_information_schema._fs_tables where table_schema = ? order by 2'
    )
    found = session.connection._duck_conn.execute(listing, [schema]).fetchall()
    return [tuple(row) for row in found]


def _of_an_owner(session: "Session") -> list[tuple[str, str, str]]:
    """Privilege, kind, name."""
    database = session.connection.database
    listing = (
        "select distinct 'SCHEMA', catalog_name || '.' || schema_name from information_schema.schemata"
        " where catalog_name = $1 union all select case when table_type = 'VIEW' then 'VIEW' else 'TABLE' end,"
        " table_catalog || '.' || table_schema || '.' || table_name from information_schema.tables"
        " where table_catalog = $1"
    )
    found = session.connection._duck_conn.execute(listing, [database]).fetchall()
    owned = [("OWNERSHIP", kind, name.upper()) for kind, name in found]
    return [("USAGE", "DATABASE", database), ("USAGE", "WAREHOUSE", session.warehouse.upper()), *owned]
