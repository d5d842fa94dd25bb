"""docker-compose.yml and the images' requirements, held to the code; `make docker-smoke` runs them."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.scoring.settings import WebhookSettings
from shared import settings as shared_settings
from shared.settings import EnvSettings

REPOSITORY = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
ROLES: dict[str, dict[str, Any]] = COMPOSE["services"]
APIS = ("ingest-api", "transform-api", "scoring-api")
WORKERS = ("ingest-worker", "transform-worker", "scoring-batch-worker", "scoring-interactive-worker")
# Folders and files inside the image: the Dockerfile decides them.
_OF_THE_IMAGE = {"GTM_DATA_DIR", "GTM_FILES_ROOTS", "GTM_SOURCES_DIR", "GTM_PROMPT_PATH", "GTM_PITCH_POLICY_PATH"}
_OF_THE_IMAGE |= {"GTM_DBT_PROJECT_DIR", "GTM_SCORING_WEIGHTS"}
_OF_TESTS = {"GTM_SNOWFLAKE_HOST", "GTM_SNOWFLAKE_PORT", "GTM_SNOWFLAKE_PROTOCOL"}  # refused where GTM_ENV=production


def _keys(module: object) -> set[str]:
    """The environment variables that a module's settings classes read."""
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, EnvSettings)]
    return {str(field.validation_alias) for item in classes for field in item.model_fields.values()}


@pytest.mark.parametrize("role", [*APIS, *WORKERS])
def test_every_setting_reaches_its_container(role: str) -> None:
    service = role.split("-")[0]
    wanted = _keys(shared_settings) | _keys(importlib.import_module(f"services.{service}.settings"))
    if role == "ingest-api":  # it never opens the warehouse
        wanted -= {key for key in wanted if key.startswith(("SNOWFLAKE_", "GTM_SNOWFLAKE_", "GTM_WAREHOUSE"))}
    if role in WORKERS:  # they take no calls
        wanted -= {"GTM_API_TOKEN"} | {str(field.validation_alias) for field in WebhookSettings.model_fields.values()}
    else:
        wanted -= {"GTM_ALIVE_FILE"}
    assert wanted - _OF_THE_IMAGE - _OF_TESTS - set(ROLES[role]["environment"]) == set()


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_container_is_confined(role: str) -> None:
    container = ROLES[role]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]


def test_only_the_apis_are_published_and_on_this_machine_alone() -> None:
    published = {role: container["ports"] for role, container in ROLES.items() if "ports" in container}
    assert set(published) == set(APIS)
    assert all(port.startswith("${GTM_BIND_ADDRESS:-127.0.0.1}:") for ports in published.values() for port in ports)


def test_workers_hand_back_their_job_before_they_are_killed() -> None:
    soft_shutdown = shared_settings.QueueSettings().soft_shutdown_seconds
    for role in WORKERS:
        assert ROLES[role]["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
        assert int(ROLES[role]["stop_grace_period"].removesuffix("s")) >= soft_shutdown + 10


def test_the_workers_serve_every_queue() -> None:
    from shared.contracts import TASKS

    served = {ROLES[role]["command"][ROLES[role]["command"].index("-Q") + 1] for role in WORKERS}
    assert served == {queue for _, queue in TASKS.values()}


@pytest.mark.parametrize("service", ["ingest", "transform", "scoring"])
def test_an_image_runs_the_versions_that_the_suite_ran(service: str) -> None:
    pins = _pins(f"requirements/{service}.txt")
    assert len(pins) > 50
    assert set(pins.items()) - set(_pins("requirements/dev.txt").items()) == set()


def _pins(path: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==(\S+)", (REPOSITORY / path).read_text(), re.MULTILINE)
    return dict(found)
