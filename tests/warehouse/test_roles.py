"""config/snowflake/roles.sql: Snowflake's grammar takes it, and it grants what the services need."""

import re
from collections.abc import Iterator

import pytest
from sqlfluff.core import Linter

from shared.doctor.privileges import NEEDS, PARTS, SCHEMAS, Grants, Part
from tests.conftest import REPOSITORY

SCRIPT = (REPOSITORY / "config" / "snowflake" / "roles.sql").read_text()
ROLES: dict[Part, str] = {"ingest": "gtm_loader", "transform": "gtm_transformer", "scoring": "gtm_scorer"}
GRANT = re.compile(r"grant ([a-z, ]+?) on (all|future)? ?(\w+?)(?:s in schema)? ([\w.]+) to role (\w+);")


def _granted(role: str, scope: str) -> Iterator[tuple[str, str, set[str]]]:
    """Kind, name, privileges; of `all` and `future` the name is the schema's."""
    for privileges, which, kind, name, to_role in GRANT.findall(SCRIPT):
        if to_role == role and which == scope:
            yield kind.upper(), name.upper(), {one.strip().upper() for one in privileges.split(",")}


def test_the_grammar_takes_every_statement() -> None:
    parsed = Linter(dialect="snowflake").parse_string(SCRIPT)
    assert [str(violation) for violation in parsed.violations] == []
    wrong = SCRIPT.replace("auto_suspend = 60", "auto_suspend 60 seconds")
    assert Linter(dialect="snowflake").parse_string(wrong).violations != []


@pytest.mark.parametrize("part", PARTS)
def test_each_role_has_what_its_service_needs_and_no_more(part: Part) -> None:
    own = Grants({(kind, name): frozenset(which) for kind, name, which in _granted(ROLES[part], "")})
    on_tables = {name: which for kind, name, which in _granted(ROLES[part], "all") if kind == "TABLE"}
    assert own.missing("database", "gtm", ["USAGE"]) == own.missing("warehouse", "gtm_wh", ["USAGE"]) == []
    for need in NEEDS[part]:
        assert own.missing("schema", f"gtm.{need.schema}", need.on_schema) == [], need.schema
        assert need.on_tables <= on_tables[f"GTM.{need.schema.upper()}"], need.schema
    needed = {f"GTM.{need.schema.upper()}" for need in NEEDS[part]}
    assert {name for kind, name in own.held if kind == "SCHEMA"} == set(on_tables) == needed
    assert not any("OWNERSHIP" in which or "ALL" in which for which in own.held.values())


def test_tables_of_tomorrow_can_be_read() -> None:
    """A build makes its tables anew, a sync may add one: a grant on those of today is gone with them."""
    for role, schema in (
        ("gtm_transformer", "RAW"),
        ("gtm_scorer", "ANALYTICS"),
        ("gtm_reader", "REVERSE_ETL_OUTBOUND"),
    ):
        future = {name: which for kind, name, which in _granted(role, "future") if kind == "TABLE"}
        assert "SELECT" in future[f"GTM.{schema}"]


def test_the_reader_sees_outbound_alone() -> None:
    assert {name for kind, name, _ in _granted("gtm_reader", "") if kind == "SCHEMA"} == {"GTM.REVERSE_ETL_OUTBOUND"}
    assert {schema for schema in SCHEMAS if f"create schema if not exists gtm.{schema} " in SCRIPT} == set(SCHEMAS)


def test_users_of_services_have_keys_and_the_warehouse_stops_by_itself() -> None:
    assert SCRIPT.count("create user") == SCRIPT.count("type = service") == SCRIPT.count("rsa_public_key = '") == 3
    assert "password" not in SCRIPT.lower().replace("takes no password", "")
    assert "auto_suspend = 60" in SCRIPT and "auto_resume = true" in SCRIPT
