"""The project's own rules, from dbt's manifest: layers, owners, grain, contracts, personal data; and its unit tests."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.transform.builds import AUDIT_COLUMNS, REPOSITORY, BuiltTwice
from tests.unstaged import UNSTAGED

Node = dict[str, Any]

# What a model may read, by the first word of its name. Quality looks behind the firewall: it counts what didn't pass.
LAYERS = {
    "base": set(),
    "stg": {"base"},
    "int": {"stg", "int"},
    "snap": {"int"},
    "dim": {"int", "dim"},
    "fct": {"int", "dim", "fct", "snap"},
}
QUALITY = {"base", "stg", "quarantine", "fct"}

# A person's name, address, number, or a row that may hold any of them.
PERSONAL = re.compile(
    r"(^|_)(email|phone|first_?name|last_?name|full_name|owner_name|recipient|raw_row|raw_value|failed_row"
    r"|opportunity_name)(_|$)"
)
NOT_PERSONAL = re.compile(r"^email_(campaign_id|event_id|domain)$|^(is|has)_")

# What transform itself writes into `analytics` (services/transform/adapters/load_changes.py).
WRITTEN_BESIDE_DBT = {"load_accounts"}

# Cleaned and checked like the others, and read by no model. What a seller does (a call, a mail, a meeting) follows from
# what brought the lead, and comes last before nearly every close: as touches they would take the attribution from it.
UNREAD = {"stg_salesforce__tasks", "stg_salesforce__events"}


class Project:
    def __init__(self, manifest: Node) -> None:
        self.nodes: dict[str, Node] = manifest["nodes"]
        self.sources: dict[str, Node] = manifest["sources"]
        self.exposures: dict[str, Node] = manifest["exposures"]
        self.groups: dict[str, Node] = manifest["groups"]

    def of_kind(self, *kinds: str) -> Iterator[Node]:
        yield from (node for node in self.nodes.values() if node["resource_type"] in kinds)

    @cached_property
    def tables(self) -> list[Node]:
        """Models and snapshots: what a build leaves in the warehouse."""
        return list(self.of_kind("model", "snapshot"))

    @property
    def marts(self) -> list[Node]:
        return [model for model in self.of_kind("model") if model["path"].startswith("marts/")]

    def read_by(self, node: Node) -> list[Node]:
        names = node["depends_on"]["nodes"]
        return [self.nodes[name] for name in names if name in self.nodes]


@pytest.fixture(scope="module")
def project(built: BuiltTwice) -> Project:
    path = built.house.settings.dbt_dir / "runs" / "first" / "target" / "manifest.json"
    return Project(json.loads(path.read_bytes()))


def _layer(node: Node) -> str:
    return str(node["name"]).split("_")[0]


def _is_tagged(table: Node, column: str) -> bool:
    described = table["columns"].get(column, {})
    return "personal_data" in {*table["tags"], *described.get("tags", ())}


def test_only_base_models_read_sources_and_each_is_read(project: Project) -> None:
    readers = {
        table["name"]: {name for name in table["depends_on"]["nodes"] if name in project.sources}
        for table in project.tables
    }
    assert {name.split("_")[0] for name, sources in readers.items() if sources} == {"base"}
    unread = set(project.sources) - set().union(*readers.values())
    assert {project.sources[name]["name"] for name in unread} == UNSTAGED


def test_layers_read_only_what_is_left_of_them(project: Project) -> None:
    for table in project.tables:
        allowed = QUALITY if table["path"].startswith("marts/quality/") else LAYERS[_layer(table)]
        read = {_layer(node) for node in project.read_by(table)}
        assert read <= allowed, f"{table['name']} reads {sorted(read - allowed)}"


def test_every_table_says_what_one_row_is(project: Project) -> None:
    assert [t["name"] for t in project.tables if "one row per" not in t["description"].lower()] == []
    described = [*project.sources.values(), *project.exposures.values(), *project.groups.values()]
    assert [node["name"] for node in described if not node["description"].strip()] == []


def test_every_table_has_a_grain_test(project: Project) -> None:
    tested = {
        test["attached_node"]
        for test in project.of_kind("test")
        if (test.get("test_metadata") or {}).get("name") in ("unique", "one_row_per")
    }
    untested = [table for table in project.tables if table["unique_id"] not in tested]
    # One test stands for all of what holds the same rows: on ten million of them each costs seconds.
    elsewhere = {table["name"]: table["config"]["meta"].get("grain_tested_in") for table in untested}
    names = {node.split(".")[-1] for node in tested if node}
    assert {name: other for name, other in elsewhere.items() if other not in names} == {}


def test_every_table_has_an_owner(project: Project) -> None:
    groups = {group["name"]: group["owner"] for group in project.groups.values()}
    assert [t["name"] for t in project.tables if not groups.get(t["config"].get("group"), {}).get("name")] == []


def test_access_follows_the_layer(project: Project) -> None:
    """Others build on marts alone; a base model is for its staging view and for quarantine."""
    for model in project.of_kind("model"):
        wanted = {"base": "private", "stg": "protected", "int": "protected"}.get(_layer(model), "public")
        assert model["access"] == wanted, model["name"]


def test_marts_hold_an_enforced_contract_with_every_column_described(project: Project) -> None:
    for model in project.marts:
        assert model["config"]["contract"]["enforced"], model["name"]
        undescribed = [name for name, column in model["columns"].items() if not column["description"].strip()]
        assert undescribed == [], model["name"]
        assert tuple(model["columns"])[-3:] == AUDIT_COLUMNS, model["name"]


def test_personal_data_is_tagged_where_a_column_says_so(project: Project, built: BuiltTwice) -> None:
    """By the columns in the warehouse, not by those that someone thought of describing."""
    tables = {(table["schema"], table["alias"]): table for table in project.tables}
    columns = built.house.rows(
        "select table_schema, table_name, column_name from information_schema.columns"
        " where table_schema in ('analytics', 'analytics_staging')"
    )
    personal = [row for row in columns if PERSONAL.search(row[2]) and not NOT_PERSONAL.search(row[2])]
    assert len(personal) > 20
    assert [f"{s}.{t}.{column}" for s, t, column in personal if not _is_tagged(tables[s, t], column)] == []


def test_what_services_read_is_in_an_exposure(project: Project) -> None:
    exposed = {node["name"] for exposure in project.exposures.values() for node in project.read_by(exposure)}
    named = set()
    for folder in ("services", "cli"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            named |= set(re.findall(r"\b(?:from|join) analytics\.([a-z_]+)", path.read_text()))
    assert {"dim_accounts", "fct_account_score_factors", "quarantine_rows"} <= named
    assert named - WRITTEN_BESIDE_DBT <= exposed
    assert [e["name"] for e in project.exposures.values() if not e["owner"].get("name")] == []


def test_no_model_is_there_for_nothing(project: Project) -> None:
    read = {node["name"] for table in [*project.tables, *project.exposures.values()] for node in project.read_by(table)}
    assert {table["name"] for table in project.tables} - read == UNREAD


def test_every_test_keeps_its_failing_rows(project: Project) -> None:
    tests = list(project.of_kind("test"))
    assert {(test["config"]["store_failures"], test["schema"]) for test in tests} == {(True, "analytics_failures")}
    aliases = [test["alias"] for test in tests]
    assert len(aliases) == len(set(aliases))


def test_plain_dbt_build_passes_with_its_unit_tests(built: BuiltTwice, project: Project) -> None:
    assert built.second.returncode == 0, built.second.stdout
    found = re.search(r"(\d+) unit tests", built.second.stdout)
    assert found is not None
    passed = built.first["nodes"]["passed"] + int(found[1])
    assert f"PASS={passed} WARN=0 ERROR=0 SKIP=0 NO-OP={len(project.exposures)} " in built.second.stdout


def test_every_variable_is_declared_with_its_default() -> None:
    """A variable that a macro reads and dbt_project.yml doesn't declare has no default and no reason."""
    folder = REPOSITORY / "dbt_transform"
    declared = set(re.findall(r"^  ([a-z_]+):", _section(folder / "dbt_project.yml", "vars"), re.MULTILINE))
    read = {
        name
        for part in ("macros", "models", "snapshots", "tests")
        for path in (folder / part).rglob("*.sql")
        for name in re.findall(r"var\(\s*[\"']([a-z_]+)[\"']", path.read_text())
    }
    assert read == declared


def _section(path: Path, name: str) -> str:
    found = re.search(rf"^{name}:\n((?:(?:[ #].*)?\n)+)", path.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]
