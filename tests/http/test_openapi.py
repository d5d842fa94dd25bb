"""openapi/*.json say what the services do, and the client does what they say."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from cli.client import Operations, Polled
from cli.models import Job
from tests.conftest import REPOSITORY
from tests.http.write_openapi import SERVICES, describe, to_text

NOT_THE_CLIENTS = {"webhooks", "docs"}  # signed by their senders; pages for people
METRICS = "getMetrics"  # Prometheus'


def _read(service: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((REPOSITORY / "openapi" / f"{service}.json").read_text(encoding="utf-8"))
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        for operation in methods.values():
            if not NOT_THE_CLIENTS & set(operation["tags"]) and operation["operationId"] != METRICS:
                yield _snake(operation["operationId"]), operation


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower()


@pytest.mark.parametrize("service", SERVICES)
def test_the_committed_description_is_the_services_own(service: str) -> None:
    text = (REPOSITORY / "openapi" / f"{service}.json").read_text(encoding="utf-8")
    assert text == to_text(describe(service)), "run `make openapi`, and look at what has changed for callers"


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_its_method_with_the_same_parameters(service: str) -> None:
    for name, operation in _operations(_read(service)):
        signature = inspect.signature(getattr(Operations, name))
        mine = {key: one for key, one in signature.parameters.items() if key not in ("self", "service")}
        theirs = {_snake(one["name"]): one for one in operation.get("parameters", [])}
        has_body = {"body"} if "requestBody" in operation else set()
        assert mine.keys() == theirs.keys() | has_body, name
        for key, parameter in theirs.items():
            is_required = mine[key].default is inspect.Parameter.empty
            assert is_required == parameter.get("required", False), (name, key)
            if not is_required:
                assert mine[key].default == parameter["schema"].get("default"), (name, key)


def test_the_client_has_no_operation_that_no_service_has() -> None:
    known = {name for service in SERVICES for name, _ in _operations(_read(service))}
    public = {name for name, _ in inspect.getmembers(Operations, inspect.isfunction) if not name.startswith("_")}
    assert public == known


@pytest.mark.parametrize("service", SERVICES)
def test_the_client_reads_nothing_that_is_not_promised(service: str) -> None:
    document = _read(service)
    compared = 0
    for name, operation in _operations(document):
        kind = get_type_hints(getattr(Operations, name))["return"]
        kinds = [one for one in get_args(kind) or (kind,) if inspect.isclass(one)]
        model = next(
            (Job if one is Polled else one for one in kinds if one is Polled or issubclass(one, BaseModel)), None
        )
        answer = operation["responses"].get("202") or operation["responses"]["200"]
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if model is not None:
            _compare(model, schema, document["components"]["schemas"], name)
            compared += 1
    assert compared > 3


def _compare(model: type[BaseModel], schema: dict[str, Any], schemas: dict[str, Any], where: str) -> None:
    promised = _resolve(schema, schemas).get("properties", {})
    for field, info in model.model_fields.items():
        anywhere = any(field in one.get("properties", {}) for one in schemas.values())  # a list's items have less
        assert field in promised or (anywhere and not info.is_required()), f"{where}.{field}"
        for inner in _models(info.annotation):
            if field in promised and inner is not model and "$ref" in json.dumps(promised[field]):
                _compare(inner, promised[field], schemas, f"{where}.{field}")


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found = re.search(r'"#/components/schemas/([^"]+)"', json.dumps(schema))
    return schemas[found[1]] if found else schema


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and not get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
    for part in get_args(annotation):
        yield from _models(part)
