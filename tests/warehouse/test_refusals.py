"""Whatever Snowflake refuses leaves the door as an error with a code, the statement that mends it, and no secret."""

import re

import pytest
import sqlalchemy as sa

from shared.errors import GtmError, TerminalError, TransientError
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse
from shared.warehouse.snowflake import SnowflakeWarehouse
from tests.emulator import SnowflakeEmulator
from tests.ports import free_port

LOGINS = [
    ("390100", "warehouse-login-refused", "SNOWFLAKE_PASSWORD"),
    ("390144", "warehouse-login-refused", "alter user gtm set rsa_public_key"),
    ("390101", "warehouse-login-refused", "alter user gtm set disabled = false"),
    ("390318", "warehouse-login-refused", "Renew the OAuth token"),
    ("390189", "warehouse-role-refused", "grant role gtm to user gtm;"),
    ("390201", "warehouse-object-missing", "grant usage on database"),
    ("390422", "warehouse-address-refused", "network policy"),
]


@pytest.mark.parametrize(("code", "problem", "mend"), LOGINS, ids=[code for code, _, _ in LOGINS])
def test_a_refused_login(emulator: SnowflakeEmulator, snowflake: Warehouse, code: str, problem: str, mend: str) -> None:
    emulator.fail(at="login", code=code, times=0)
    with pytest.raises(TerminalError, match=re.escape(mend)) as refused, snowflake.core() as connection:
        connection.execute(sa.text("select 1"))
    assert refused.value.code == problem
    assert code in refused.value.detail
    assert emulator.statements()["statements"] == 0


def test_an_account_that_is_not_there(emulator: SnowflakeEmulator, snowflake: Warehouse) -> None:
    """Snowflake's domain answers for every name, with 403 or 404."""
    for status in (403, 404):
        emulator.fail(at="http", status=status, times=0)
        with pytest.raises(TerminalError, match="SNOWFLAKE_ACCOUNT is gtm") as refused, snowflake.core():
            pass
        assert refused.value.code == "warehouse-account-unknown"
        emulator.reset()


def test_nobody_answers(settings: WarehouseSettings) -> None:
    nowhere = settings.model_copy(update={"snowflake_port": free_port(), "snowflake_login_timeout_seconds": 1})
    with pytest.raises(TransientError) as refused, SnowflakeWarehouse(nowhere).core():
        pass
    assert refused.value.code == "warehouse-unreachable"


STATEMENTS = [
    ({"at": "warehouse", "state": "suspended"}, "warehouse-suspended", "alter warehouse gtm set auto_resume = true"),
    ({"at": "statement", "match": "leads", "code": "090073"}, "warehouse-suspended", "alter resource monitor"),
    ({"at": "grant", "table": "PUBLIC.LEADS"}, "warehouse-grant-missing", "lacks a privilege on the table"),
    ({"at": "statement", "match": "leads", "code": "002003"}, "warehouse-object-missing", "gtm warehouse init"),
    ({"at": "statement", "match": "leads", "code": "000630"}, "warehouse-statement-timeout", "STATEMENT_TIMEOUT"),
    ({"at": "statement", "match": "leads", "code": "000904"}, "warehouse-statement-refused", "query id"),
]


@pytest.mark.parametrize(
    ("fault", "problem", "mend"),
    STATEMENTS,
    ids=[mend.split()[0] + str(i) for i, (_, _, mend) in enumerate(STATEMENTS)],
)
def test_a_refused_statement(
    emulator: SnowflakeEmulator, snowflake: Warehouse, fault: dict[str, str], problem: str, mend: str
) -> None:
    with snowflake.core() as connection:
        connection.exec_driver_sql("create schema if not exists public")
        connection.exec_driver_sql("create table public.leads (id integer)")
    emulator.fail(**fault, times=0)
    with pytest.raises(TerminalError, match=re.escape(mend)) as refused, snowflake.core() as connection:
        connection.execute(sa.text("insert into public.leads select 1"))
    assert refused.value.code == problem


def test_a_table_that_was_dropped(snowflake: Warehouse) -> None:
    with pytest.raises(TerminalError, match="RAW.GONE' does not exist") as refused, snowflake.core() as connection:
        connection.execute(sa.text("select * from raw.gone"))
    assert refused.value.code == "warehouse-object-missing"


PASSING = [("000625", "warehouse-locked"), ("390111", "warehouse-session-lost"), ("000604", "warehouse-unreachable")]


@pytest.mark.parametrize(("code", "problem"), PASSING, ids=[code for code, _ in PASSING])
def test_what_passes_by_itself(emulator: SnowflakeEmulator, snowflake: Warehouse, code: str, problem: str) -> None:
    emulator.fail(at="statement", match="1 as wanted", code=code, sqlstate="57014")
    with pytest.raises(TransientError) as refused, snowflake.core() as connection:
        connection.execute(sa.text("select 1 as wanted"))
    assert refused.value.code == problem
    with snowflake.core() as connection:
        assert connection.execute(sa.text("select 1 as wanted")).scalar_one() == 1


def test_a_throttled_request_is_sent_again_for_a_while(
    emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    """By the driver, with the same request id, which is run once. Whether one without any answer was carried out
    is not known, nor what its session has open: it does not go back into the pool."""
    hasty = SnowflakeWarehouse(settings.model_copy(update={"snowflake_network_timeout_seconds": 1}))
    with hasty.core() as connection:
        connection.exec_driver_sql("create schema if not exists public")
        connection.exec_driver_sql("create table public.leads (id integer)")
    emulator.fail(at="http", status=503, match="insert into public.leads")
    with hasty.core() as connection:
        connection.execute(sa.text("insert into public.leads select 1"))
        assert connection.execute(sa.text("select count(*) from public.leads")).scalar_one() == 1
    emulator.fail(at="http", status=429, match="insert into public.leads", times=0)
    with pytest.raises(TransientError) as refused, hasty.core() as connection:
        connection.execute(sa.text("insert into public.leads select 2"))
    assert refused.value.code == "warehouse-unreachable"
    emulator.reset()
    with hasty.core() as connection:
        connection.execute(sa.text("select 1"))
    assert emulator.statements()["logins"] == 1
    hasty._engine.dispose()


def test_a_statement_may_take_longer_than_a_request_is_sent_again(
    emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    """The driver by itself asks Snowflake to abort it then; how long it may take is STATEMENT_TIMEOUT's business."""
    hasty = SnowflakeWarehouse(settings.model_copy(update={"snowflake_network_timeout_seconds": 1}))
    emulator.fail(at="statement", match="1 as slow_one", seconds=1.2)
    with hasty.core() as connection:
        assert connection.execute(sa.text("select 1 as slow_one")).scalar_one() == 1
    hasty._engine.dispose()


def test_values_of_rows_are_in_no_message(emulator: SnowflakeEmulator, snowflake: Warehouse) -> None:
    said = 'Duplicate row detected during DML action\nRow Values: [12, "jane@example.com"]'
    emulator.fail(at="statement", match="wanted", code="100090", sqlstate="42P18", message=said)
    with pytest.raises(GtmError) as refused, snowflake.core() as connection:
        connection.execute(sa.text("select :name as wanted"), {"name": "jane@example.com"})
    assert "jane" not in refused.value.detail + str(refused.value.to_problem())
