"""config/snowflake/roles.sql: Snowflake's grammar takes it, and it grants what the services need."""

import re
from collections.abc import Iterator

import pytest
from sqlfluff.core import Linter

from shared.doctor.privileges import NEEDS, PARTS, SCHEMAS, Grants, Part
from shared.warehouse.snowflake_connection import RESULT_PARAMETERS
from tests.conftest import REPOSITORY

SCRIPT = (REPOSITORY / "config" / "snowflake" / "roles.sql").read_text()
READER = (REPOSITORY / "config" / "snowflake" / "reader.sql").read_text()
ROLES: dict[Part, str] = {"ingest": "gtm_loader", "transform": "gtm_transformer", "scoring": "gtm_scorer"}
GRANT = re.compile(r"grant ([a-z, ]+?) on (all|future)? ?(\w+?)(?:s in schema)? ([\w.]+) to role (\w+);")


def _granted(role: str, scope: str, script: str = SCRIPT) -> Iterator[tuple[str, str, set[str]]]:
    """Kind, name, privileges; of `all` and `future` the name is the schema's."""
    for privileges, which, kind, name, to_role in GRANT.findall(re.sub("--.*", "", script)):
        if to_role == role and which == scope:
            yield kind.upper(), name.upper(), {one.strip().upper() for one in privileges.split(",")}


def test_the_grammar_takes_every_statement() -> None:
    for script in (READER, re.sub("-- (grant ownership)", r"\1", SCRIPT)):
        parsed = Linter(dialect="snowflake").parse_string(script)
        assert [str(violation) for violation in parsed.violations] == []
    wrong = SCRIPT.replace("auto_suspend = 60", "auto_suspend 60 seconds")
    assert Linter(dialect="snowflake").parse_string(wrong).violations != []


@pytest.mark.parametrize("part", PARTS)
def test_each_role_has_what_its_service_needs_and_no_more(part: Part) -> None:
    """What a service makes is its own; of what others make it may read what it needs, now and in future."""
    own = Grants({(kind, name): frozenset(which) for kind, name, which in _granted(ROLES[part], "")})
    scopes = [
        {name: which for kind, name, which in _granted(ROLES[part], scope) if kind == "TABLE"}
        for scope in ("all", "future")
    ]
    assert own.missing("database", "gtm", ["USAGE"]) == own.missing("warehouse", "gtm_wh", ["USAGE"]) == []
    for need in NEEDS[part]:
        name = f"GTM.{need.schema.upper()}"
        assert own.held["SCHEMA", name] == need.on_schema
        on_tables = need.on_tables.union(*need.on_named.values()) - {"OWNERSHIP"}
        assert [scope.pop(name, set()) for scope in scopes] == [on_tables, on_tables], need.schema
    assert scopes == [{}, {}]
    assert {name for kind, name in own.held if kind == "SCHEMA"} == {f"GTM.{n.schema.upper()}" for n in NEEDS[part]}
    assert not any("OWNERSHIP" in which or "ALL" in which for which in own.held.values())


def test_the_reader_sees_leads_and_their_history_alone() -> None:
    """By name: a grant on all tables, of today or of tomorrow, would take in what the model has been refused."""
    assert {name for kind, name, _ in _granted("gtm_reader", "") if kind == "SCHEMA"} == {"GTM.REVERSE_ETL_OUTBOUND"}
    for script in (SCRIPT, READER):
        assert [*_granted("gtm_reader", "all", script), *_granted("gtm_reader", "future", script)] == []
    assert list(_granted("gtm_reader", "", READER)) == [
        ("TABLE", f"GTM.REVERSE_ETL_OUTBOUND.{name}", {"SELECT"}) for name in ("LEAD_SCORES", "LEAD_SCORE_HISTORY")
    ]
    assert {schema for schema in SCHEMAS if f"create schema if not exists gtm.{schema} " in SCRIPT} == set(SCHEMAS)


def test_builds_have_the_parameters_that_decide_results() -> None:
    """dbt can set none: they are its user's."""
    for name, value in RESULT_PARAMETERS.items():
        assert f"alter user gtm_transform set {name.lower()} = '{value}';" in SCRIPT


def test_users_of_services_have_keys_and_the_warehouse_stops_by_itself() -> None:
    assert SCRIPT.count("create user") == SCRIPT.count("type = service") == SCRIPT.count("rsa_public_key = '") == 3
    assert "password" not in SCRIPT.lower().replace("takes no password", "")
    assert "auto_suspend = 60" in SCRIPT and "auto_resume = true" in SCRIPT
