"""`gtm doctor` on Snowflake: what is wrong is found, with the statement that mends it, and nothing is woken."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from shared.doctor.findings import Finding
from shared.doctor.privileges import NEEDS, PARTS, Part, needs_of
from shared.doctor.snowflake import examine_snowflake
from shared.settings import WarehouseSettings
from shared.warehouse.setup import set_up
from tests.emulator import SnowflakeEmulator

Examine = Callable[..., dict[str, Finding]]


TABLES = {
    "raw": ("loads", "hubspot_companies", "rejects", "public_suffixes"),
    "analytics": ("dim_accounts", "fct_account_score_factors", "dim_contacts"),
    "analytics_staging": ("int_accounts",),
    "reverse_etl_outbound": ("lead_scores",),
}


@pytest.fixture
def examine(settings: WarehouseSettings, emulator: SnowflakeEmulator) -> Examine:
    """Findings by check; the database has the product's schemas, and the user what roles.sql sets."""
    schemas = sorted({need.schema for needs in NEEDS.values() for need in needs})

    def tables(connection: object) -> None:
        for name in (f"{schema}.{table}" for schema, tables in TABLES.items() for table in tables):
            connection.exec_driver_sql(f"create table if not exists {name} (id integer)")  # type: ignore[attr-defined]

    set_up(settings, "core", schemas, tables, is_dry_run=False)

    def look(parts: Iterable[Part] = PARTS, settings: WarehouseSettings = settings) -> dict[str, Finding]:
        script(emulator, [["TIMEZONE", "UTC", "", "USER", "", "STRING"]], match="parameters like 'timezone'")
        return {finding.check: finding for finding in examine_snowflake(settings, tuple(parts))}

    return look


def grants(settings: WarehouseSettings, *without: tuple[str, str]) -> list[list[str]]:
    """All that the three services need, but some (privilege, name)."""
    database = settings.snowflake_database.upper()
    rows = [["USAGE", "DATABASE", database], ["USAGE", "WAREHOUSE", "GTM"]]
    for need in needs_of(PARTS):
        rows += [[privilege, "SCHEMA", f"{database}.{need.schema.upper()}"] for privilege in need.on_schema]
        for table in TABLES.get(need.schema, ()):
            name = f"{database}.{need.schema}.{table}".upper()
            rows += [[privilege, "TABLE", name] for privilege in need.on(table)]
    return [row for row in rows if (row[0], row[2].removeprefix(f"{database}.")) not in without]


def script(emulator: SnowflakeEmulator, rows: list[list[str]], match: str = "grants to role gtm") -> None:
    emulator.fail(at="show", match=match, rows=rows, times=0)


def failing(found: dict[str, Finding]) -> list[str]:
    return [check for check, one in found.items() if one.outcome == "fail"]


def test_all_is_well_and_no_warehouse_is_woken(examine: Examine, emulator: SnowflakeEmulator) -> None:
    emulator.reset()
    found = examine()
    assert failing(found) == []
    assert found["login"].outcome == found["role"].outcome == found["warehouse"].outcome == "ok"
    assert found["schema raw"].said == "4 tables and views"
    assert emulator.statements()["warehouse"] == 0


def test_every_missing_grant_is_printed(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    """A table that another role has made can be read, and neither altered nor replaced."""
    database = settings.snowflake_database.lower()
    script(emulator, grants(settings, ("CREATE TABLE", "RAW"), ("OWNERSHIP", "RAW.LOADS"), ("USAGE", "GTM")))
    found = examine()
    assert failing(found) == ["grants on warehouse", "schema raw"]
    assert found["schema raw"].mends == (
        f"grant create table on schema {database}.raw to role gtm;",
        f"grant ownership on table {database}.raw.loads to role gtm copy current grants;",
    )
    assert found["grants on warehouse"].mends == ("grant usage on warehouse gtm to role gtm;",)


def test_many_tables_without_a_grant_get_one_statement(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    database = settings.snowflake_database.lower()
    raw = ("LOADS", "HUBSPOT_COMPANIES", "REJECTS")
    script(emulator, grants(settings, *((privilege, f"RAW.{name}") for privilege in ("OWNERSHIP",) for name in raw)))
    assert examine(["ingest"])["schema raw"].mends == (
        f"grant ownership on all tables in schema {database}.raw to role gtm copy current grants;",
    )


def test_a_transformer_reads_raw_and_owns_the_marts(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    """After a trial with one role that had everything."""
    database = settings.snowflake_database
    seen = [["SELECT", "TABLE", f"{database}.{schema}.{table}"] for schema in TABLES for table in TABLES[schema]]
    whole = [row for row in grants(settings) if row[1] != "TABLE"]
    script(emulator, whole + [[one[0], one[1], one[2].upper()] for one in seen])
    found = examine(["transform"])
    assert failing(found) == ["schema raw", "schema analytics", "schema analytics_staging"]
    lower = database.lower()
    assert found["schema raw"].mends == (
        f"grant ownership on table {lower}.raw.public_suffixes to role gtm copy current grants;",
    )
    assert found["schema analytics"].mends == (
        f"grant ownership on all tables in schema {lower}.analytics to role gtm copy current grants;",
    )
    assert examine(["scoring"])["schema analytics"].outcome == "ok"


@pytest.mark.parametrize(
    ("part", "table", "maker"),
    [("transform", "raw.loads", "gtm warehouse init"), ("scoring", "analytics.dim_accounts", "gtm build")],
    ids=["raw", "marts"],
)
def test_a_table_that_is_hidden_is_not_one_that_is_not_there_yet(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings, part: Part, table: str, maker: str
) -> None:
    """Snowflake lists no table that the role has no privilege on."""
    emulator.fail(at="hidden", table=table.upper(), times=0)
    schema = table.split(".")[0]
    found = examine([part])[f"schema {schema}"]
    full = f"{settings.snowflake_database}.{table}".lower()
    assert (found.outcome, found.mends) == ("fail", (maker, f"grant select on table {full} to role gtm;"))
    assert "not there, or gtm has no privilege on it" in found.said


def test_a_schema_without_a_table_in_sight_may_be_full(examine: Examine, emulator: SnowflakeEmulator) -> None:
    emulator.fail(at="hidden", table="REVERSE_ETL_OUTBOUND.LEAD_SCORES", times=0)
    found = examine(["scoring"])["schema reverse_etl_outbound"]
    assert found.outcome == "warn" and found.mends[0] == "gtm warehouse init"
    assert found.mends[1].startswith("grant ownership on all tables in schema")


def test_what_builds_can_not_set_is_looked_at(examine: Examine, emulator: SnowflakeEmulator) -> None:
    script(emulator, [["DATE_INPUT_FORMAT", "DD.MM.YYYY", "", "ACCOUNT", "", "STRING"]], match="like 'date_input")
    found = examine(["transform"])["parameters of builds"]
    assert (found.outcome, found.mends) == ("fail", ("alter user gtm set DATE_INPUT_FORMAT = 'AUTO';",))
    assert "parameters of builds" not in examine(["ingest"])


def test_a_raw_without_a_past_fails_builds(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    assert examine(["transform"])["past of raw"].said == "1 days of it are kept"
    unkept = ["DATA_RETENTION_TIME_IN_DAYS", "0", "1", "SCHEMA", "", "NUMBER"]
    script(emulator, [unkept], match="parameters like 'data_retention_time_in_days' in schema")
    found = examine(["transform"])["past of raw"]
    mend = f"alter schema {settings.snowflake_database}.raw set data_retention_time_in_days = 1;"
    assert (found.outcome, found.mends) == ("fail", (mend,))
    assert "past of raw" not in examine(["ingest"])


def test_grants_of_a_role_that_the_role_has_count(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    script(emulator, [["USAGE", "ROLE", "GTM_LOADER"]], match="grants to role gtm$")
    script(emulator, [*grants(settings), ["USAGE", "ROLE", "GTM"]], match="grants to role gtm_loader")
    assert failing(examine()) == []


def test_grants_that_everybody_has_count(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    everybody = [["USAGE", "WAREHOUSE", "GTM"], ["USAGE", "DATABASE_ROLE", f"{settings.snowflake_database}.READERS"]]
    used = ["USAGE", "SCHEMA", f"{settings.snowflake_database}.ANALYTICS".upper()]
    script(emulator, [row for row in grants(settings, ("USAGE", "GTM")) if row != used], match="to role gtm$")
    script(emulator, everybody, match="to role public")
    script(emulator, [used], match="to database role .*readers")
    assert failing(examine()) == []


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


def test_another_warehouse_of_a_like_name_is_not_meant(
    examine: Examine, emulator: SnowflakeEmulator, settings: WarehouseSettings
) -> None:
    """In LIKE, `_` is any character."""
    row = ["GTMXWH", "STARTED", "STANDARD", "X-Small", "0", "true", "null"]
    script(emulator, [row], match="show warehouses")
    found = examine(settings=settings.model_copy(update={"snowflake_warehouse": "gtm_wh"}))
    assert found["warehouse"].outcome == "fail" and "not there" in found["warehouse"].said


def test_a_key_of_a_group_of_ours_is_no_fault(tmp_path: Path, settings: WarehouseSettings) -> None:
    """As Kubernetes mounts a secret, with fsGroup: nobody could chmod it."""
    key = tmp_path / "key.p8"
    key.write_text("")
    by_key = settings.model_copy(update={"snowflake_auth": "key-pair", "snowflake_private_key_file": key})
    for mode, outcome in ((0o440, "ok"), (0o444, "warn")):
        key.chmod(mode)
        assert next(examine_snowflake(by_key, PARTS)).outcome == outcome


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


def test_the_warehouse_of_the_large_models_is_looked_for_where_builds_run(
    examine: Examine, emulator: SnowflakeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "warehouse of large models" not in examine()
    monkeypatch.setenv("GTM_DBT_WAREHOUSE_LARGE", "gtm_large_wh")
    missing = examine(["transform"])["warehouse of large models"]
    assert missing.outcome == "fail" and "GTM_DBT_WAREHOUSE_LARGE" in missing.said
    assert missing.mends == ("grant usage on warehouse gtm_large_wh to role gtm;",)
    assert "warehouse of large models" not in examine(["scoring"])
    rows = [["GTM_LARGE_WH", "SUSPENDED", "STANDARD", "Medium", "60", "true", "null"]]
    script(emulator, rows, match="show warehouses like 'gtm_large_wh'")
    assert examine(["transform"])["warehouse of large models"].outcome == "ok"
