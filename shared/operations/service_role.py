"""The services' own login to PostgreSQL: they read and write rows, and can change neither tables nor rules.

Migrations log in as the owner of the tables. What runs all day, and answers callers, logs in as a role that can't
create, alter or drop anything, can't switch off the audit log's triggers, and can neither rewrite its rows nor make
itself an API key. SQLite has no roles: there whoever reads the file may write it.
"""

from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg import sql

from shared.errors import TerminalError

# What a table may be used for; every other one for reading, adding, changing and removing rows.
_PRIVILEGES: Final = {
    "alembic_version": "select",
    "audit_log": "select, insert",
    "api_keys": "select, update (last_used_at)",
}

_ROLES: Final = """
    select
        (select rolsuper or rolcreaterole from pg_roles where rolname = current_user),
        exists (select 1 from pg_roles where rolname = %(role)s),
        exists (select 1 from pg_roles where rolname = %(role)s and (rolsuper or rolcreaterole or rolcreatedb))
"""


def prepare_service_role(engine: sa.Engine, service_url: str) -> str | None:
    """Make the role of `service_url` with its password, and let it use the tables that `engine`'s user owns.

    Repeated after every migration: a new table is granted, a changed password counts from then on. All or nothing.
    Returns the role's name; None where both log in as one user, or the database has no roles.

    Raises:
        TerminalError: `service-role-refused`, the owner may not make roles, or the URL names no user or password.
    """
    if engine.dialect.name != "postgresql":
        return None
    url = sa.make_url(service_url)
    if not url.username or not url.password:
        raise _refusal("GTM_OPERATIONS_SERVICE_URL needs both: postgresql+psycopg://user:password@host/database.")
    if url.username == engine.url.username:
        return None
    try:
        with engine.begin() as connection:
            tables = sa.inspect(connection).get_table_names()
            driver: Any = connection.connection.driver_connection
            _set_login(driver, url.username, url.password)
            _grant(driver, url.username, tables)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _refusal(
            f"GTM_OPERATIONS_SERVICE_URL: {url.username} can't be made or granted: {error.diag.message_primary}. Let "
            "the owner make roles (`alter role <owner> createrole`), or make it by hand (docs/operations.md)."
        ) from error
    return url.username


def _set_login(driver: psycopg.Connection[Any], name: str, password: str) -> None:
    """A role that is there, under an owner who may make none, was made by hand and keeps its password."""
    role = sql.Identifier(name)
    may_make, exists, is_administrator = driver.execute(_ROLES, {"role": name}).fetchone() or (False, False, False)
    if is_administrator:
        raise _refusal(f"{name} of GTM_OPERATIONS_SERVICE_URL may administer the server: name a role of its own.")
    if exists and not may_make:
        return
    if not exists:
        driver.execute(sql.SQL("create role {} login").format(role))
    # Hashed (SCRAM) before it leaves this process, so that no server's log has it.
    hashed = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    driver.execute(sql.SQL("alter role {} login password {}").format(role, sql.Literal(hashed)))


def _grant(driver: psycopg.Connection[Any], name: str, tables: list[str]) -> None:
    role = sql.Identifier(name)
    names = driver.execute("select current_database(), current_schema()").fetchone() or ()
    database, schema = (sql.Identifier(value) for value in names)
    for command in (
        sql.SQL("grant connect on database {} to {}").format(database, role),
        sql.SQL("grant usage on schema {} to {}").format(schema, role),
        sql.SQL("grant select, insert, update, delete on all tables in schema {} to {}").format(schema, role),
        sql.SQL("grant usage, select on all sequences in schema {} to {}").format(schema, role),
    ):
        driver.execute(command)
    for table in sorted(_PRIVILEGES.keys() & set(tables)):
        named = sql.SQL("{}.{}").format(schema, sql.Identifier(table))
        driver.execute(sql.SQL("revoke all on {} from {}").format(named, role))
        driver.execute(sql.SQL("grant {} on {} to {}").format(sql.SQL(_PRIVILEGES[table]), named, role))


def _refusal(detail: str) -> TerminalError:
    return TerminalError(detail, code="service-role-refused", title="The services' role can't be prepared")
