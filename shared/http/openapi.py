"""What FastAPI's description of an API lacks: problems, who may call, and what every operation may answer."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from shared.http.guarding import scope_of
from shared.http.problems import Problem, problem_responses

API_KEY: Final = "apiKey"
_REF: Final = "#/components/schemas/{model}"
_SCHEMES: Final[dict[str, dict[str, str]]] = {
    API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer gtm_...`, a key of `gtm keys create`. Not needed from the same machine "
        "with GTM_ENV=local.",
    },
    "standardWebhook": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks 1.0, with GTM_WEBHOOK_SECRET.",
    },
    "hubspotSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-HubSpot-Signature-v3",
        "description": "HubSpot's signature, with the app's client secret.",
    },
    "salesforceToken": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "GTM_SALESFORCE_WEBHOOK_TOKEN in the address.",
    },
}
_TAGS: Final = {
    "syncs": "Read a source and land it in RAW.",
    "pipelines": "Sync, build, score.",
    "builds": "Marts by dbt, and what each node of a build did.",
    "scorings": "Score active prospects.",
    "leads": "What sales tools read.",
    "webhooks": "Signed events.",
    "jobs": "Everything that was started; every service answers for all of them.",
    "health": "For probes and Prometheus.",
    "docs": "Pages for people.",
}
_NOTE: Final = (
    "A start answers `202` with the job, which is polled until it ends. Every error is a problem (RFC 9457) whose "
    "`type` is served under /problems. Beside what is listed, any operation may answer 414 or 431 (address or headers "
    "too long), 405, and 500. Every answer has an `X-Request-ID`, under which the logs are searched; one that is sent "
    "is kept."
)


def describe(app: FastAPI) -> None:
    """From now on `app.openapi()` gives the whole description, made at the first call: when all routes are there."""
    made: dict[str, Any] = {}
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_complete(plain(), app))
        return made

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does it


def _complete(document: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    document["info"] |= {"description": _NOTE, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}}
    _describe_problem(document)
    scopes = {
        getattr(route, "operation_id", None): scope_of(getattr(route, "dependencies", []))
        for route in iter_route_contexts(app.routes)
    }
    used = set()
    for operation in _operations(document):
        _complete_operation(operation, scopes.get(operation["operationId"]))
        used |= {name for one in operation["security"] for name in one}
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes |= {name: scheme for name, scheme in _SCHEMES.items() if name in used}
    tags = sorted({tag for operation in _operations(document) for tag in operation.get("tags", [])})
    document["tags"] = [{"name": tag, "description": _TAGS[tag]} for tag in tags]
    return document


def _describe_problem(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template=_REF)
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _complete_operation(operation: dict[str, Any], scope: str | None) -> None:
    responses = operation["responses"]
    if "422" in responses and "application/json" in responses["422"].get("content", {}):  # FastAPI's own
        responses["422"] = problem_responses(422)[422]
    statuses = [400, 413, 415] if "requestBody" in operation else []
    if scope is not None:
        statuses += [401, 403, 429, 503]
        operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scope}`.".strip()
    for status, response in problem_responses(*statuses).items():
        responses.setdefault(str(status), response)
    operation["responses"] = dict(sorted(responses.items()))
    operation.setdefault("security", [{API_KEY: []}] if scope is not None else [])


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (operation for operation in path.values() if isinstance(operation, dict))
