"""docs/contracts.md, the RAW tables, the dbt sources and marts, and the shipped mappings say the same."""

import re

import pytest
import sqlalchemy as sa
import yaml

from services.ingest.adapters.raw_tables import RAW_TABLES, loads, rejects
from services.ingest.adapters.schema_changes import schema_changes
from services.scoring.adapters.outbound_tables import outbound_metadata
from services.transform.adapters.public_suffixes import public_suffixes
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "contracts.md").read_text()
METADATA_COLUMNS = [
    "source_system",
    "source_record_id",
    "source_updated_at",
    "is_deleted",
    "extra",
    "row_hash",
    "load_id",
    "loaded_at",
]


def _documented_raw() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `((?:hubspot|salesforce|billing)_\w+)` \| ([\w, ]+) \|$", PAGE, re.MULTILINE)
    return {table: columns.split(", ") for table, columns in rows}


def _dbt_properties() -> list[dict[str, object]]:
    return [yaml.safe_load(path.read_text()) for path in (REPOSITORY / "dbt_transform" / "models").rglob("*.yml")]


def test_raw_tables_are_as_documented() -> None:
    documented = _documented_raw()
    assert documented.keys() == RAW_TABLES.keys() and len(documented) == 28
    for name, table in RAW_TABLES.items():
        columns = [column.name for column in table.columns]
        assert set(columns) == {*documented[name], *METADATA_COLUMNS}, name
        assert [column.name for column in table.primary_key] == ["source_system", "source_record_id"]
        texts = [table.c[column].type for column in documented[name]]
        assert all(isinstance(kind, sa.String) for kind in texts), f"{name}: source columns are text"
    assert {"load_id", "file", "line", "reason", "content"} <= {column.name for column in rejects.columns}


def test_loads_are_as_documented() -> None:
    section = PAGE.partition("`raw.loads` —")[2].partition("A load batch is")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(documented) == sorted(column.name for column in loads.columns)
    assert {column.name for column in loads.primary_key} == {"load_id", "source_table"}


def test_schema_changes_are_as_documented() -> None:
    section = PAGE.partition("`raw.schema_changes` —")[2].partition("What a sync is compared with")[0]
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)
    documented = [name.strip("`") for row in rows for name in row.split(", ")]
    assert documented == [column.name for column in schema_changes.columns]
    assert [column.name for column in schema_changes.primary_key] == documented[:5]


def test_dbt_knows_every_raw_table_and_column() -> None:
    sources = {
        table["name"]: {column["name"] for column in table["columns"]}
        for properties in _dbt_properties()
        for source in properties.get("sources", [])  # type: ignore[attr-defined]
        for table in source["tables"]
    }
    landed = {**RAW_TABLES, "loads": loads, "public_suffixes": public_suffixes}
    assert sources == {name: {column.name for column in table.columns} for name, table in landed.items()}


def test_dim_accounts_has_the_columns_that_are_documented() -> None:
    section = PAGE.partition("`dim_accounts` —")[2].partition("`fct_account_score_factors` —")[0]
    names = {
        name.strip()
        for row in re.findall(r"^\| ([\w, ]+) \|", section, re.MULTILINE)
        for name in row.split(",")
        if name.strip() not in ("column", "")
    }
    models = {
        model["name"]: {column["name"] for column in model.get("columns", [])}
        for properties in _dbt_properties()
        for model in properties.get("models", [])  # type: ignore[attr-defined]
    }
    assert len(names) >= 35
    assert names - models["dim_accounts"] == set()


@pytest.mark.parametrize(
    "mapping", sorted((REPOSITORY / "config" / "sources").glob("*.yml")), ids=lambda path: path.stem
)
def test_mappings_name_columns_that_raw_has(mapping: object) -> None:
    content = yaml.safe_load(mapping.read_text())  # type: ignore[attr-defined]
    for table, entry in content["tables"].items():
        assert set(entry["columns"]) <= {column.name for column in RAW_TABLES[table].columns}


def test_every_outbound_column_is_explained_where_it_is_declared() -> None:
    for table in outbound_metadata.tables.values():
        assert table.schema == "reverse_etl_outbound"
        assert [column.name for column in table.columns if not column.comment] == [], table.name
