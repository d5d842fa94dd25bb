"""docker-compose.yml and the images' requirements, held to the code; `make docker-smoke` runs them."""

import importlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.scoring.settings import WebhookSettings
from shared import settings as shared_settings
from shared.http.problem_pages import _SOURCE
from shared.settings import EnvSettings

REPOSITORY = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
ROLES: dict[str, dict[str, Any]] = COMPOSE["services"]
APIS = ("ingest-api", "transform-api", "scoring-api")
WORKERS = ("ingest-worker", "transform-worker", "scoring-batch-worker", "scoring-interactive-worker")
# Folders and files inside the image: the Dockerfile decides them.
_OF_THE_IMAGE = {"GTM_DATA_DIR", "GTM_FILES_ROOTS", "GTM_SOURCES_DIR", "GTM_PROMPT_PATH", "GTM_PITCH_POLICY_PATH"}
_OF_THE_IMAGE |= {"GTM_DBT_PROJECT_DIR", "GTM_SCORING_WEIGHTS"}
_OF_APIS = {"GTM_API_DOCS", "GTM_RATE_LIMIT_PER_MINUTE"}
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
        wanted -= _OF_APIS | {str(field.validation_alias) for field in WebhookSettings.model_fields.values()}
    else:
        wanted = wanted - {"GTM_ALIVE_FILE"} | {"FORWARDED_ALLOW_IPS"}  # uvicorn's: whose word for an address counts
    given = {name.removesuffix("_FILE") if name.endswith("_URL_FILE") else name for name in ROLES[role]["environment"]}
    assert wanted - _OF_THE_IMAGE - _OF_TESTS - given == set()


def test_the_page_of_problems_is_in_every_image() -> None:
    """Services read it as they start, and are no services without it."""
    page = _SOURCE.relative_to(REPOSITORY)
    assert page.is_file() and f"!{page}" in (REPOSITORY / ".dockerignore").read_text().splitlines()
    stages = {part.split()[0]: part for part in re.split(r"^FROM \S+ AS ", DOCKERFILE, flags=re.MULTILINE)[1:]}
    assert f"COPY {page} /app/{page.parent}/" in stages["base-app"]
    for service in ("ingest", "transform", "scoring"):
        assert "COPY --from=base-app /app /app" in stages[f"build-{service}"]
        assert f"COPY --from=build-{service} /app /app" in stages[service]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_container_is_confined(role: str) -> None:
    container = ROLES[role]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"] and container["pids_limit"] <= 512
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode"} & set(container)
    assert "docker.sock" not in str(container)


def test_no_secret_is_in_the_file_or_in_an_environment() -> None:
    """Passwords and addresses with passwords are files, made by one script, and each role mounts its own alone."""
    environments = {role: container.get("environment", {}) for role, container in ROLES.items()}
    values = [str(value) for environment in environments.values() for value in environment.values()]
    assert not [value for value in values if re.search(r"://[^/]*@|PASSWORD:\?", value)]
    for role, environment in environments.items():
        files = {Path(str(value)).name for value in environment.values() if str(value).startswith("/run/secrets/")}
        mounted = {one if isinstance(one, str) else one["target"] for one in ROLES[role].get("secrets", [])}
        assert files <= mounted, role


def test_who_knows_what(tmp_path: Path) -> None:
    sources = {
        role: {one if isinstance(one, str) else one["source"] for one in container.get("secrets", [])}
        for role, container in ROLES.items()
    }
    producers = {"operations_url", "redis_producer_url"}
    assert sources == {
        "ollama": set(),
        "postgres": {"postgres_password"},
        "redis": {"redis_producer_password", "redis_worker_password"},
        "migrate": {"operations_owner_url", *producers},
        "sweeper": producers,
        **dict.fromkeys(APIS, producers),
        **dict.fromkeys(WORKERS, {"operations_url", "redis_worker_url"}),
    }
    assert _make_secrets(tmp_path).returncode == 0
    made = {path.name for path in tmp_path.iterdir()}
    assert set(COMPOSE["secrets"]) == set().union(*sources.values()) == made - {"postgres_service_password"}
    paths = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    assert paths == {name: "${GTM_SECRETS_DIR:-./secrets}/" + name for name in paths}


def test_secrets_are_made_once_and_a_removed_one_is_made_anew(tmp_path: Path) -> None:
    _make_secrets(tmp_path)
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert _make_secrets(tmp_path).stdout == ""
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    assert all(len(first[name]) == 64 for name in first if name.endswith("_password")) and len(set(first.values())) == 8
    (tmp_path / "redis_worker_password").unlink()
    _make_secrets(tmp_path)
    second = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {name for name in first if first[name] != second[name]} == {"redis_worker_password", "redis_worker_url"}
    assert second["redis_worker_url"] == f"redis://worker:{second['redis_worker_password']}@redis:6379/0"
    assert tmp_path.stat().st_mode & 0o777 == 0o700  # the files are readable by the containers' users
    (tmp_path / "postgres_password").write_text("p@ss/word\n")
    refused = _make_secrets(tmp_path)
    assert refused.returncode == 1 and "p@ss" not in refused.stderr and "postgres_password" in refused.stderr


def test_no_owners_password_is_made_that_the_database_would_not_know(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    _make_secrets(folder)
    known = (folder / "postgres_password").read_text()
    (folder / "postgres_password").unlink()
    refused = _make_secrets(folder)
    assert refused.returncode == 1 and "--new-owner-password" in refused.stderr and known not in refused.stderr
    assert not (folder / "postgres_password").exists() and known in (folder / "operations_owner_url").read_text()
    assert _make_secrets(folder, "--new-owner-password").returncode == 0
    assert (folder / "postgres_password").read_text() in (folder / "operations_owner_url").read_text()
    assert known not in (folder / "operations_owner_url").read_text()


def test_an_installation_of_an_earlier_release_keeps_its_owners_password(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=of-the-volume\n")
    for folder, env in ((tmp_path / "secrets", {}), (tmp_path / "elsewhere" / "secrets", _docker_with(tmp_path))):
        refused = _make_secrets(folder, env=env)
        assert refused.returncode == 1 and "POSTGRES_PASSWORD of .env" in refused.stderr
        assert [path.name for path in folder.iterdir()] == []
        (folder / "postgres_password").write_text("of-the-volume\n")
        assert _make_secrets(folder, env=env).returncode == 0
        url = (folder / "operations_owner_url").read_text()
        assert url == "postgresql+psycopg://gtm:of-the-volume@postgres:5432/gtm"


def _docker_with(folder: Path) -> dict[str, str]:
    """An environment whose `docker` knows the volume `house_postgres` and no other."""
    (folder / "docker").write_text('#!/bin/sh\n[ "$*" = "volume inspect house_postgres" ]\n')
    (folder / "docker").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "COMPOSE_PROJECT_NAME": "House"}


def _make_secrets(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COMPOSE_PROJECT_NAME": "gtm-none"} | (env or {})
    command = [REPOSITORY / "docker" / "make_secrets.sh", *arguments, folder]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_no_store_is_reached_from_outside_or_reaches_out() -> None:
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    for store in ("redis", "postgres"):
        assert ROLES[store]["networks"] == ["stores"] and "ports" not in ROLES[store]


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"migrate"}))
def test_every_container_says_whether_it_is_well(role: str) -> None:
    has_own = "healthcheck" in ROLES[role]
    assert has_own or ROLES[role]["image"].startswith("fleet-gtm-")  # those have the image's
    assert len(re.findall(r"^HEALTHCHECK ", DOCKERFILE, re.MULTILINE)) == 2  # runtime's and Redis's


def test_images_say_what_they_are() -> None:
    stages = re.findall(r'^LABEL org\.opencontainers\.image\.title="fleet-gtm-(\w+)"', DOCKERFILE, re.MULTILINE)
    assert stages == ["ingest", "transform", "scoring", "redis"]
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001", "redis"]


def test_base_images_are_pinned_to_a_release() -> None:
    images = re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE)
    images += [one["image"] for one in ROLES.values() if not one["image"].startswith("fleet-gtm-")]
    assert len(images) == 4 and not [image for image in images if image.endswith(":latest")]


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
