"""`gtm doctor` on Snowflake: what is wrong is found, with the statement that mends it, and nothing is woken."""

from collections.abc import Callable, Iterable

import pytest

from shared.doctor.findings import Finding
from shared.doctor.privileges import NEEDS, PARTS, Part
from shared.doctor.snowflake import examine_snowflake
from shared.settings import WarehouseSettings
from shared.warehouse.setup import set_up
from tests.emulator import SnowflakeEmulator

Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def examine(settings: WarehouseSettings) -> Examine:
    """Findings by check; the database has the product's schemas."""
    schemas = sorted({need.schema for needs in NEEDS.values() for need in needs})

    def tables(connection: object) -> None:
        for name in ("raw.loads", "raw.hubspot_deals", "raw.rejects", "analytics.dim_accounts"):
            connection.exec_driver_sql(f"create table if not exists {name} (id integer)")  # type: ignore[attr-defined]

    set_up(settings, "core", schemas, tables, is_dry_run=False)

    def look(parts: Iterable[Part] = PARTS, settings: WarehouseSettings = settings) -> dict[str, Finding]:
        return {finding.check: finding for finding in examine_snowflake(settings, tuple(parts))}

    return look


def grants(settings: WarehouseSettings, *without: tuple[str, str]) -> list[list[str]]:
    """All that the three services need, but some (privilege, name)."""
    database = settings.snowflake_database.upper()
    rows = [["USAGE", "DATABASE", database], ["USAGE", "WAREHOUSE", "GTM"]]
    for need in (need for part in PARTS for need in NEEDS[part]):
        rows += [[privilege, "SCHEMA", f"{database}.{need.schema.upper()}"] for privilege in need.on_schema]
    for table in ("RAW.LOADS", "RAW.HUBSPOT_DEALS", "RAW.REJECTS", "ANALYTICS.DIM_ACCOUNTS"):
        rows += [[privilege, "TABLE", f"{database}.{table}"] for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    return [row for row in rows if (row[0], row[2].removeprefix(f"{database}.")) not in without]


def script(emulator: SnowflakeEmulator, rows: list[list[str]], match: str = "grants to role gtm") -> None:
    emulator.fail(at="show", match=match, rows=rows, times=0)


def test_all_is_well_and_no_warehouse_is_woken(examine: Examine, emulator: SnowflakeEmulator) -> None:
    emulator.reset()
    found = examine()
    assert {check: one.outcome for check, one in found.items() if one.outcome == "fail"} == {}
    assert found["login"].outcome == found["role"].outcome == found["warehouse"].outcome == "ok"
    assert found["schema raw"].said == "3 tables and views"
    assert emulator.statements()["warehouse"] == 0


def test_every_missing_grant_is_printed(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    database = settings.snowflake_database.lower()
    script(emulator, grants(settings, ("CREATE TABLE", "RAW"), ("UPDATE", "RAW.LOADS"), ("USAGE", "GTM")))
    found = examine()
    assert found["schema raw"].outcome == found["grants on warehouse"].outcome == "fail"
    assert found["schema raw"].mends == (
        f"grant create table on schema {database}.raw to role gtm;",
        f"grant update on table {database}.raw.loads to role gtm;",
    )
    assert found["grants on warehouse"].mends == ("grant usage on warehouse gtm to role gtm;",)
    assert found["schema analytics"].outcome == "ok"


def test_many_tables_without_a_grant_get_one_statement(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    missing = [("SELECT", f"RAW.{name}") for name in ("LOADS", "HUBSPOT_DEALS", "REJECTS")]
    script(emulator, grants(settings, *missing))
    assert examine()["schema raw"].mends == tuple(
        f"grant select on {which} tables in schema {settings.snowflake_database}.raw to role gtm;"
        for which in ("all", "future")
    )


def test_grants_of_a_role_that_the_role_has_count(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    script(emulator, [["USAGE", "ROLE", "GTM_LOADER"]], match="grants to role gtm$")
    script(emulator, [*grants(settings), ["USAGE", "ROLE", "GTM"]], match="grants to role gtm_loader")
    assert [one for one in examine().values() if one.outcome == "fail"] == []


def test_a_service_is_asked_for_its_own_schemas_alone(examine: Examine) -> None:
    assert [check for check in examine(["scoring"]) if check.startswith("schema")] == [
        "schema analytics",
        "schema reverse_etl_outbound",
    ]


WAREHOUSES = [
    (["SUSPENDED", "60", "false"], "fail", "alter warehouse gtm set auto_resume = true;"),
    (["STARTED", "60", "false"], "warn", "alter warehouse gtm set auto_resume = true;"),
    (["SUSPENDED", "60", "true"], "ok", ""),
    (["STARTED", "0", "true"], "warn", "alter warehouse gtm set auto_suspend = 60;"),
    (["STARTED", "3600", "true"], "warn", "alter warehouse gtm set auto_suspend = 60;"),
]


@pytest.mark.parametrize(("row", "outcome", "mend"), WAREHOUSES, ids=["-".join(row) for row, _, _ in WAREHOUSES])
def test_the_virtual_warehouse(
    examine: Examine, emulator: SnowflakeEmulator, row: list[str], outcome: str, mend: str
) -> None:
    state, suspend, resume = row
    script(emulator, [["GTM", state, "STANDARD", "X-Small", suspend, resume, "null"]], match="show warehouses")
    found = examine()
    assert (found["warehouse"].outcome, "".join(found["warehouse"].mends)) == (outcome, mend)
    assert found["resource monitor"].outcome == "warn"


def test_a_warehouse_that_is_not_there(examine: Examine, emulator: SnowflakeEmulator) -> None:
    script(emulator, [], match="show warehouses")
    assert examine()["warehouse"].mends == ("grant usage on warehouse gtm to role gtm;",)


def test_a_schema_that_is_not_there(examine: Examine, settings: WarehouseSettings, emulator: SnowflakeEmulator) -> None:
    found = examine(settings=settings.model_copy(update={"snowflake_database": f"{settings.snowflake_database}_NEW"}))
    assert found["schema raw"].outcome == "fail" and "gtm warehouse init" in found["schema raw"].mends


def test_a_refused_login_ends_the_examination(examine: Examine, emulator: SnowflakeEmulator) -> None:
    emulator.fail(at="login", code="390189")
    found = examine()
    assert list(found) == ["credentials", "login"]
    assert "grant role gtm to user gtm;" in found["login"].said


def test_a_password_alone_is_told(examine: Examine) -> None:
    assert examine()["credentials"].outcome == "warn"


def test_settings_that_are_missing_are_named(settings: WarehouseSettings) -> None:
    (finding,) = examine_snowflake(settings.model_copy(update={"snowflake_role": ""}), PARTS)
    assert finding.outcome == "fail" and "SNOWFLAKE_ROLE" in finding.said
