"""Settings in manifests: each exists, has a value that its class takes, and is a Secret where it is one."""

import importlib
import os
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from pydantic import SecretStr, ValidationError

from shared import settings as shared_settings
from shared.errors import TerminalError
from shared.operations.settings import MigrationSettings
from shared.settings import EnvSettings, WarehouseSettings, explain_wrong_settings
from tests.deploy.rendering import Manifest, environment_of, is_product, pod_of

SERVICES: Final = ("ingest", "transform", "scoring")
_NOT_OURS: Final = {"FORWARDED_ALLOW_IPS", "REMAP_SIGTERM", "TMPDIR"}  # uvicorn's own, Celery's, Python's
# Stands for what a Secret gives: of the form that the setting wants.
_SECRETS: Final = {
    "GTM_OPERATIONS_URL": "postgresql+psycopg://gtm:secret@postgres:5432/gtm",
    "GTM_OPERATIONS_SERVICE_URL": "postgresql+psycopg://gtm_service:secret@postgres:5432/gtm",
    "REDIS_URL": "redis://worker:secret@redis:6379/0",
}
_SOME_SECRET: Final = "0" * 64


def settings_of(service: str) -> list[type[EnvSettings]]:
    """The classes that a service's processes read."""
    modules = [shared_settings, importlib.import_module(f"services.{service}.settings")]
    found = [item for module in modules for item in vars(module).values() if isinstance(item, type)]
    return [MigrationSettings, *(item for item in found if issubclass(item, EnvSettings) and item is not EnvSettings)]


@lru_cache
def known_variables() -> dict[str, bool]:
    """Every variable of the services, and whether it is a secret."""
    fields = [field for service in SERVICES for kind in settings_of(service) for field in kind.model_fields.values()]
    return {str(field.validation_alias): _is_secret(field.annotation) for field in fields}


def find_settings_faults(manifests: tuple[Manifest, ...]) -> list[str]:
    """One line per fault, each with the workload and the variable."""
    faults: list[str] = []
    for one in manifests:
        pod = pod_of(one)
        if pod is None or not is_product(one):
            continue
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            title = f"{one['kind']}/{one['metadata']['name']} {container['name']}"
            environment = environment_of(manifests, container)
            found = [*_unknown(environment), *_one_machine(environment), *_wrong(one, container, environment)]
            faults += [f"{title}: {fault}" for fault in found]
    return faults


def _unknown(environment: dict[str, str | None]) -> Iterator[str]:
    known = known_variables()
    for name, value in environment.items():
        if name not in known and name not in _NOT_OURS:
            yield f"{name} is no setting of the product (.env.example)"
        elif known.get(name) and value is not None:
            yield f"{name} is a secret: take it from a Secret (secretKeyRef)"


def _one_machine(environment: dict[str, str | None]) -> Iterator[str]:
    kind = environment.get("GTM_WAREHOUSE")
    if kind != "snowflake":
        yield f"GTM_WAREHOUSE={kind}: DuckDB is a file of one machine; deploy/ is for Snowflake"


def _wrong(one: Manifest, container: Manifest, environment: dict[str, str | None]) -> Iterator[str]:
    """The settings as the process would read them; a warehouse's user needs all of Snowflake's."""
    image = container["image"].rpartition("/")[2].partition("@")[0].partition(":")[0]
    service = image.removeprefix("fleet-gtm-")
    if service not in SERVICES:
        yield f"image {container['image']}: ends in none of fleet-gtm-{{{','.join(SERVICES)}}}"
        return
    given = {name: _SECRETS.get(name, _SOME_SECRET) if value is None else value for name, value in environment.items()}
    is_main = container["name"] == "gtm"
    needs_snowflake = is_main and bool(one["metadata"].get("labels", {}).get("fleet-gtm/warehouse"))
    yield from _refusals(service, frozenset(given.items()), needs_snowflake)


@lru_cache(maxsize=256)
def _refusals(service: str, given: frozenset[tuple[str, str]], needs_snowflake: bool) -> tuple[str, ...]:
    """What the settings classes say of this environment."""
    found: list[str] = []
    with _only(dict(given)):
        for kind in settings_of(service):
            try:
                settings = kind(_env_file=None)  # type: ignore[call-arg]  # pydantic-settings' own parameter
                if needs_snowflake and isinstance(settings, WarehouseSettings):
                    settings.require_snowflake()
            except ValidationError as error:
                found += explain_wrong_settings(error)
            except TerminalError as error:
                found.append(error.detail)
    return tuple(found)


@contextmanager
def _only(environment: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or SecretStr in typing.get_args(annotation)
