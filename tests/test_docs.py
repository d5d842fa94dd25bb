"""The docs say what the code does: each setting, problem, path and function they name exists, and none is missing."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import cli
import local
import services
import shared
from shared.settings import EnvSettings
from tests.conftest import REPOSITORY

SNOWFLAKE_AND_OLLAMA = {
    *(f"SNOWFLAKE_{key}" for key in ("ACCOUNT", "USER", "PASSWORD", "WAREHOUSE", "DATABASE", "SCHEMA", "ROLE")),
    "OLLAMA_HOST",
    "OLLAMA_MODEL",
}
COMPOSE_ONLY = {  # read by docker-compose.yml, never by the code
    "GTM_SECRETS_DIR",
    "GTM_REVISION",
    "GTM_BIND_ADDRESS",
    "GTM_FILES_DIR",
    "GTM_IMAGE_TAG",
    "OLLAMA_IMAGE",
    "OLLAMA_MEM_LIMIT",
}


def _settings_classes() -> list[type[BaseSettings]]:
    for package in (shared, services, cli, local):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("settings"):
                importlib.import_module(module.name)
    found, waiting = [], [EnvSettings]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found.append(kind)
            waiting.append(kind)
    return found


def _env_keys() -> set[str]:
    return {
        str(field.validation_alias)
        for kind in _settings_classes()
        for field in kind.model_fields.values()
        if isinstance(field.validation_alias, str)
    }


def _source_files() -> list[Path]:
    return [path for folder in ("shared", "services", "cli", "local") for path in (REPOSITORY / folder).rglob("*.py")]


def test_the_env_example_explains_every_setting_and_no_other() -> None:
    lines = (REPOSITORY / ".env.example").read_text().splitlines()
    explained = {match[1] for line in lines if (match := re.match(r"#? ?([A-Z][A-Z0-9_]+)=", line))}
    assert explained - COMPOSE_ONLY - {"FORWARDED_ALLOW_IPS"} == _env_keys()  # uvicorn's own
    assert SNOWFLAKE_AND_OLLAMA <= explained


def test_the_env_example_explains_every_variable_of_the_compose_file() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (REPOSITORY / "docker-compose.yml").read_text()))
    text = (REPOSITORY / ".env.example").read_text()
    assert [name for name in sorted(used) if f"{name}=" not in text] == []


def test_every_problem_has_its_page() -> None:
    raised = {code for path in _source_files() for code in re.findall(r'\bcode="([a-z][a-z-]+)"', path.read_text())}
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", (REPOSITORY / "docs" / "problems.md").read_text(), re.MULTILINE))
    assert raised - explained == set()


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/contracts.md"])
def test_every_path_that_is_named_exists(page: str) -> None:
    named = re.findall(r"`((?:[\w.]+/)+[\w.]*)`", (REPOSITORY / page).read_text())
    assert [path for path in named if not (REPOSITORY / path).exists() and not path.startswith("var/")] == []


def test_every_function_of_the_tour_is_where_it_says() -> None:
    tour = (REPOSITORY / "ARCHITECTURE.md").read_text()
    pairs = re.findall(r"`((?:\w+/)+\w+\.py)`\s+`([\w.]+)\(\)`", tour)
    assert len(pairs) > 15
    for path, function in pairs:
        name = function.rpartition(".")[2]
        assert f"def {name}(" in (REPOSITORY / path).read_text(), f"{path} has no {name}"


def test_every_make_target_of_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "docs/operations.md"):
        text = (REPOSITORY / page).read_text()
        named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
        assert named <= targets, page
