"""What no code of ours may do with what comes from outside, looked up in the code and in the requests themselves."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from services.ingest.domain.mapping import SourceMapping
from services.transform.settings import TransformSettings
from shared.contracts import BuildRequest
from shared.settings import WarehouseSettings
from tests.conftest import REPOSITORY

FILES = sorted(
    path for folder in ("shared", "services", "cli", "local") for path in (REPOSITORY / folder).rglob("*.py")
)
HOSTILE = [
    "x; drop table y",
    'x"; drop table y --',
    "x' or '1'='1",
    "x y",
    "../x",
    "{{ x }}",
    "x\0",
    "x--",
    "é",
    "1x",
    "x.y",
]

# What runs what it reads, follows where it is sent, or hands a shell a text.
HTTP_CALLS = {
    f"httpx.{name}" for name in ("Client", "AsyncClient", "request", "stream", "get", "post", "put", "patch", "delete")
}
BY_PROXY = {"services/ingest/adapters/crm_http.py", "services/ingest/adapters/salesforce/login.py"}
"""What leaves for the internet, as Snowflake's driver does, may go by the operator's proxy."""
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
    "os.system",
    "os.popen",
    "csv.writer",
    "csv.DictWriter",
    "numpy.load",
    "np.load",
    "tarfile.open",
    "shutil.unpack_archive",
}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "marshal", "shelve", "dill", "openpyxl", "xlsxwriter"}
FORBIDDEN_METHODS = {"to_csv", "to_excel", "write_csv", "extractall"}


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("folder", ["shared", "services", "cli", "local"])
def test_nothing_that_was_read_is_run_unpacked_or_written_as_a_spreadsheet(folder: str) -> None:
    for path in (file for file in FILES if file.is_relative_to(REPOSITORY / folder)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            name.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in node.names
        } | {str(node.module).partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported.isdisjoint(FORBIDDEN_IMPORTS), path
        for name, call in _calls(tree):
            if name == "yaml.load" and ast.unparse(call.args[1]) == "_OnceLoader":
                continue  # a SafeLoader that refuses a key that comes twice
            assert name not in FORBIDDEN_CALLS and name.rpartition(".")[2] not in FORBIDDEN_METHODS, f"{path}: {name}"
            options = {one.arg: one.value for one in call.keywords}
            for option in ("shell", "follow_redirects"):
                value = options.get(option)
                assert not (isinstance(value, ast.Constant) and value.value is True), f"{path}: {name}({option}=True)"
            if name in HTTP_CALLS:  # httpx's default is to follow HTTPS_PROXY: whether one may is said each time
                assert "trust_env" in options, f"{path}: {name}() without trust_env"
                is_trusting = ast.unparse(options["trust_env"]) == "True"
                assert is_trusting == (path.relative_to(REPOSITORY).as_posix() in BY_PROXY), f"{path}: {name}"


def test_celery_takes_json_alone() -> None:
    from shared.celery_app import make_celery

    conf = make_celery("any").conf
    assert (conf.accept_content, conf.task_serializer) == (["json"], "json")


def test_no_request_names_an_address() -> None:
    """A field that does would need rules for where a service may be sent: there is none."""
    for path in sorted((REPOSITORY / "openapi").glob("*.json")):
        for schema, name, field in _request_fields(json.loads(path.read_text(encoding="utf-8"))):
            words = set(re.split(r"[^a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))
            assert words.isdisjoint(
                {"url", "uri", "host", "callback", "endpoint", "address", "href", "link"}
            ), f"{path.name}: {schema}.{name}"
            assert field.get("format") not in {"uri", "url", "hostname"}, f"{path.name}: {schema}.{name}"


def _request_fields(api: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    schemas, waiting, seen = api["components"]["schemas"], [], set()
    for route in api["paths"].values():
        for operation in route.values():
            for one in operation.get("parameters", []):
                yield operation["operationId"], one["name"], one.get("schema", {})
            waiting.append(operation.get("requestBody", {}))
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.values()
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                waiting.append(schemas[reference.rpartition("/")[2]])
            for name, field in part.get("properties", {}).items():
                yield str(part.get("title", "?")), name, field
        elif isinstance(part, list):
            waiting += part


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_name_gets_nowhere(name: str) -> None:
    """Of a warehouse's parts, of RAW's tables and columns in a mapping, of a build's nodes."""
    for setting in ("SCHEMA", "DATABASE", "ROLE", "WAREHOUSE"):
        with pytest.raises(ValidationError):
            WarehouseSettings.model_validate({f"SNOWFLAKE_{setting}": name})
    with pytest.raises(ValidationError):
        TransformSettings.model_validate({"GTM_DBT_WAREHOUSE_LARGE": name})
    table = {"files": ["x"], "key": ["ID"], "columns": {"id": "ID"}}
    with pytest.raises(ValidationError, match="no RAW table"):
        SourceMapping.model_validate({"description": "d", "tables": {name: table}})
    with pytest.raises(ValidationError, match="has no column"):
        columns = {**table, "columns": {name: "ID"}}
        SourceMapping.model_validate({"description": "d", "tables": {"hubspot_companies": columns}})
    if name not in ("x y", "../x", "x--", "1x", "x.y"):  # which dbt takes for nodes, tags and paths of its project
        with pytest.raises(ValidationError):
            BuildRequest(select=name)


def test_no_selection_of_a_build_is_an_option() -> None:
    for select in ("--project-dir /tmp", "-x", "a --vars b", "a  -x"):
        with pytest.raises(ValidationError):
            BuildRequest(select=select)
    assert BuildRequest(select="tag:nightly,path:models/a-b +dim_accounts+ @x").select


def test_statements_are_written_by_sqlalchemy_or_hold_our_own_names() -> None:
    """A text that is made of another one is SQL only in these files, whose names come from declarations: each was
    read. A new one must be read too."""
    made = {
        str(path.relative_to(REPOSITORY))
        for path in FILES
        for name, call in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if name in ("sa.text", "text", "sqlalchemy.text") and call.args and isinstance(call.args[0], ast.JoinedStr)
    }
    assert made == KNOWN_MADE


KNOWN_MADE = {
    "services/ingest/adapters/raw_tables.py",
    "services/ingest/adapters/scans.py",
    "services/scoring/adapters/activity.py",
    "services/scoring/adapters/marts.py",
    "services/scoring/adapters/outbound_tables.py",
    "services/scoring/adapters/tiers.py",
    "services/scoring/adapters/witnesses.py",
    "services/transform/adapters/load_changes.py",
    "shared/operations/migrations/versions/v0009_access.py",
    "shared/operations/migrations/versions/v0010_callers.py",
    "shared/warehouse/duckdb.py",
    "shared/warehouse/merge.py",
}


def test_values_are_bound(tmp_path: Path) -> None:
    """What SQLAlchemy makes of a hostile value, in both dialects: a parameter."""
    from sqlalchemy.dialects import postgresql, sqlite

    table = sa.table("t", sa.column("a", sa.String))
    for dialect in (postgresql.dialect(), sqlite.dialect()):  # type: ignore[no-untyped-call]
        for value in HOSTILE:
            assert value not in str(sa.select(table).where(table.c.a == value).compile(dialect=dialect))
