"""The services' own login on a real PostgreSQL: it can do the product's work and can't touch its rules."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa

from shared.access.audit import AuditEvent, append_entry, read_entries, verify_chain
from shared.access.callers import COMMAND_LINE, Caller
from shared.access.key_store import KeyStore
from shared.errors import TerminalError, TransientError
from shared.operations import migrate as migration
from shared.operations.database import WORKER_PATIENCE, OperationsDatabase
from shared.operations.models import Base
from shared.operations.service_role import prepare_service_role
from tests.shared.conftest import run_sql

# A row of the audit log; `prev` and its own hash are a digit each, 64 times.
_ENTRY = (
    "insert into audit_log (seq, at, actor, action, count, detail, prev_hash, hash) values "
    "({seq}, now(), '{actor}', '{action}', 1, '{{}}', repeat('{prev}', 64), repeat('b', 64))"
)

# What gtm_service may not do, by what somebody who has broken into an API might want.
REFUSED = {
    "drop a table": "drop table jobs",
    "add a column": "alter table jobs add column x text",
    "make a table": "create table mine (x text)",
    "empty a table": "truncate jobs",
    "rewrite the log": "update audit_log set actor = 'nobody'",
    "shorten the log": "delete from audit_log",
    "switch off the log's triggers": "alter table audit_log disable trigger all",
    "make a key": "insert into api_keys select * from api_keys",
    "widen a key": "update api_keys set scopes = '[]'",
    "bring back a revoked key": "update api_keys set revoked_at = null",
    "fake a migration": "update alembic_version set version_num = '0001'",
    "become somebody": "set role gtm",
    "make a friend": "create role friend",
    "read a file": "select pg_read_file('/etc/passwd')",
    "write that an operator did it": _ENTRY.format(seq=2, actor="cli", action="job.cancel", prev="a"),
    "write that a key was revoked": _ENTRY.format(seq=2, actor="nightly", action="key.revoke", prev="a"),
}


@pytest.fixture(scope="module")
def owner(postgres_url: str) -> Iterator[sa.Engine]:
    run_sql(postgres_url, "create database roles template migrated")
    database = OperationsDatabase(postgres_url + "roles")
    yield database.engine
    database.dispose()


@pytest.fixture(scope="module")
def service_url(owner: sa.Engine) -> str:
    url = owner.url.set(username="gtm_service", password="first%20of/two")
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def service(owner: sa.Engine, service_url: str) -> Iterator[sa.Engine]:
    assert prepare_service_role(owner, service_url) == "gtm_service"
    engine = sa.create_engine(service_url)
    yield engine
    engine.dispose()


def test_it_works_on_every_table_of_the_product(service: sa.Engine) -> None:
    kept = {"audit_log": "select, insert", "api_keys": "select, update"}
    with service.connect() as connection:
        for table in Base.metadata.tables.values():
            for privilege in kept.get(table.name, "select, insert, update, delete").split(", "):
                function = "has_table_privilege" if privilege == "delete" else "has_any_column_privilege"
                asked = sa.text(f"select {function}(:table, :privilege)")
                assert connection.execute(asked, {"table": table.name, "privilege": privilege}).scalar_one(), table.name
        connection.execute(sa.text("select count(*) from queue_demand")).scalar_one()
        connection.execute(sa.text("update api_keys set last_used_at = now()"))


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_it_can_not(service: sa.Engine, statement: str) -> None:
    with service.connect() as connection, pytest.raises(sa.exc.ProgrammingError) as refused:
        connection.exec_driver_sql(statement)
    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)


@pytest.mark.parametrize(("seq", "prev"), [(2**63 - 1, "b"), (3, "b"), (2, "0"), (1, "0"), (0, "0")])
def test_a_row_that_does_not_follow_the_last_one_is_refused(owner: sa.Engine, seq: int, prev: str) -> None:
    """Of anybody. A last one with the largest number would be the last for ever."""
    with owner.connect() as connection:
        connection.exec_driver_sql(_ENTRY.format(seq=1, actor="cli", action="key.create", prev="0"))
        entry = _ENTRY.format(seq=seq, actor="nightly", action="job.start", prev=prev)
        with pytest.raises(sa.exc.DBAPIError, match="does not follow the last one"):
            connection.exec_driver_sql(entry)


def test_a_log_of_its_own_does_not_deceive_the_check(service: sa.Engine) -> None:
    with service.connect() as connection:
        connection.exec_driver_sql("create temp table audit_log (seq bigint, hash text)")
        connection.exec_driver_sql(f"insert into pg_temp.audit_log values ({2**63 - 2}, repeat('a', 64))")
        entry = _ENTRY.format(seq=2**63 - 1, actor="nightly", action="job.start", prev="a")
        with pytest.raises(sa.exc.DBAPIError, match="does not follow the last one"):
            connection.exec_driver_sql(entry.replace("into audit_log", "into public.audit_log"))


def test_a_key_is_revoked_while_the_services_login_holds_the_log(owner: sa.Engine, service: sa.Engine) -> None:
    """Whoever has broken into a service can hold the chain's lock: that must not keep a key alive."""
    url = owner.url.render_as_string(hide_password=False)
    database = OperationsDatabase(url, patience=replace(WORKER_PATIENCE, lock=0.2))
    keys = KeyStore(database)
    key_id = keys.create("stolen", ["admin"], caller=COMMAND_LINE).stored.key_id
    with service.begin() as holder:
        holder.exec_driver_sql("select pg_advisory_xact_lock(hashtext('audit-log'))")
        with pytest.raises(TransientError, match="is revoked, but") as said:
            keys.revoke(key_id, caller=COMMAND_LINE)
    assert said.value.code == "revoked-unrecorded"
    assert not keys.has_active() and read_entries(database, limit=9, action="key.revoke") == []
    for _ in range(2):  # the first one writes the row that is missing
        keys.revoke(key_id, caller=COMMAND_LINE)
    assert len(read_entries(database, limit=9, action="key.revoke")) == 1
    assert verify_chain(database).is_whole
    database.dispose()


def test_the_services_can_write_what_they_do(owner: sa.Engine, service: sa.Engine, service_url: str) -> None:
    mine = OperationsDatabase(service_url)
    with mine.write() as session:
        append_entry(mine, session, AuditEvent("job.start", Caller("nightly")))
        append_entry(mine, session, AuditEvent("call.refused", Caller("anonymous"), status=401))
    assert verify_chain(mine).is_whole
    mine.dispose()


def test_a_repeat_changes_nothing_and_a_new_password_counts(
    owner: sa.Engine, service: sa.Engine, service_url: str
) -> None:
    def password_and_grants() -> tuple[object, ...]:
        with owner.connect() as connection:
            limits = connection.execute(
                sa.text("select rolsuper, rolcanlogin from pg_roles where rolname = 'gtm_service'")
            )
            grants = connection.execute(
                sa.text(
                    "select table_name, privilege_type from information_schema.table_privileges "
                    "where grantee = 'gtm_service' order by 1, 2"
                )
            )
            return tuple(limits.one()), tuple(map(tuple, grants))

    before = password_and_grants()
    changed = sa.make_url(service_url).set(password="second").render_as_string(hide_password=False)
    assert prepare_service_role(owner, changed) == "gtm_service"
    assert prepare_service_role(owner, changed) == "gtm_service"
    assert password_and_grants() == before
    with owner.connect() as connection:
        stored = connection.execute(sa.text("select rolpassword from pg_authid where rolname = 'gtm_service'"))
        assert str(stored.scalar_one()).startswith("SCRAM-SHA-256$")


def test_one_user_for_both_is_left_as_it_is(owner: sa.Engine) -> None:
    same = owner.url.set(password="x").render_as_string(hide_password=False)
    assert prepare_service_role(owner, same) is None


@pytest.mark.parametrize("user", ["admin", None])
def test_an_administrator_and_nobody_are_refused(owner: sa.Engine, user: str | None) -> None:
    with owner.begin() as connection:
        connection.execute(sa.text("drop role if exists admin"))
        connection.execute(sa.text("create role admin login createdb"))
    url = owner.url.set(username=user, password="x" if user else None).render_as_string(hide_password=False)
    with pytest.raises(TerminalError) as refused:
        prepare_service_role(owner, url)
    assert refused.value.code == "service-role-refused"


def test_an_owner_who_may_make_no_roles_is_told_what_to_do(owner: sa.Engine, postgres_url: str) -> None:
    with owner.begin() as connection:
        connection.execute(sa.text("drop role if exists modest"))
        connection.execute(sa.text("create role modest login"))
    modest = sa.create_engine(sa.make_url(postgres_url + "roles").set(username="modest"))
    url = owner.url.set(username="another", password="x").render_as_string(hide_password=False)
    with pytest.raises(TerminalError, match="createrole"):
        prepare_service_role(modest, url)
    modest.dispose()


def test_the_migration_prepares_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(postgres_url, "create database with_role")
    url = sa.make_url(postgres_url + "with_role")
    monkeypatch.setenv("GTM_OPERATIONS_URL", url.render_as_string(hide_password=False))
    service_url = url.set(username="gtm_migrated", password="x").render_as_string(hide_password=False)
    monkeypatch.setenv("GTM_OPERATIONS_SERVICE_URL", service_url)
    migration.main()
    assert "gtm_migrated may use its tables" in capsys.readouterr().out
    engine = sa.create_engine(service_url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select count(*) from jobs")).scalar_one() == 0
    engine.dispose()
