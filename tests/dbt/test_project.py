"""The project's own rules: layers, descriptions, contracts; and its unit tests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.transform.builds import BuiltTwice


@pytest.fixture(scope="module")
def manifest(built: BuiltTwice) -> dict[str, Any]:
    path = built.house.settings.dbt_dir / "runs" / "first" / "target" / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    return manifest


def _models(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (node for node in manifest["nodes"].values() if node["resource_type"] == "model")


def test_only_base_models_read_sources(manifest: dict[str, Any]) -> None:
    readers = {model["name"] for model in _models(manifest) if model["sources"]}
    assert len(readers) == 8
    assert all(name.startswith("base_") for name in readers)


def test_layers_read_only_what_is_left_of_them(manifest: dict[str, Any]) -> None:
    allowed = {"base": set(), "stg": {"base"}, "int": {"stg", "int"}, "dim": {"int"}, "fct": {"int", "fct"}}
    allowed["quarantine"] = {"base"}
    for model in _models(manifest):
        layer = model["name"].split("_")[0]
        read = {name.split(".")[-1].split("_")[0] for name in model["depends_on"]["nodes"] if name.startswith("model.")}
        assert read <= allowed[layer], model["name"]


def test_every_model_and_source_says_what_it_is(manifest: dict[str, Any]) -> None:
    assert [model["name"] for model in _models(manifest) if not model["description"].strip()] == []
    assert [source["name"] for source in manifest["sources"].values() if not source["description"].strip()] == []


def test_marts_hold_an_enforced_contract_with_every_column_described(manifest: dict[str, Any]) -> None:
    marts = [model for model in _models(manifest) if model["schema"] == "analytics"]
    assert len(marts) == 6
    for model in marts:
        assert model["config"]["contract"]["enforced"], model["name"]
        undescribed = [name for name, column in model["columns"].items() if not column["description"].strip()]
        assert undescribed == [], model["name"]


def test_plain_dbt_build_passes_with_its_unit_tests(built: BuiltTwice) -> None:
    assert built.second.returncode == 0, built.second.stdout
    assert "10 unit tests" in built.second.stdout
    assert f"PASS={built.first['nodes']['passed'] + 10} " in built.second.stdout
