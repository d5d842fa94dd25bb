"""Starting a job over REST: check, commit, answer 202, then publish."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

from fastapi import FastAPI, Header, Request, Response
from pydantic import BaseModel

from shared.contracts import JobKind
from shared.http.guarding import caller_name
from shared.http.json_routes import add_json_route
from shared.http.problems import problem_responses
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.logging import current_request_id, get_logger
from shared.operations.database import OperationsDatabase
from shared.settings import operations_settings

log = get_logger(__name__)

POLL_SECONDS: Final = 1  # what a caller is asked to wait before it looks at a job that has not ended

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        examples=["nightly-2026-11-23"],
        description="Printable ASCII. The same key and body give the same job, also while it runs and for as long as "
        "the job is kept; the same key with another body gives 422. Keys of different callers have nothing to do with "
        "each other.",
    ),
]
RequestT = TypeVar("RequestT", bound=BaseModel)
Check = Callable[[RequestT, OperationsDatabase], None]


def add_start(
    app: FastAPI,
    path: str,
    kind: JobKind,
    model: type[RequestT],
    *,
    operation_id: str,
    summary: str,
    check: Check[RequestT] | None = None,
    refusals: tuple[int, ...] = (),
    looks: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """The route that starts jobs of a kind: the one way in which every service does it.

    `check` raises for what can't be carried out; `refusals` are its statuses beside 422. `looks` are operations that
    show more of such a job, with the parameter that takes its id. A repeat of a start that was accepted is answered
    with its job, whatever has changed since, so it is not checked again.
    """

    def start(body: Any, request: Request, response: Response, idempotency_key: IdempotencyKeyHeader = None) -> JobView:
        store: JobStore = request.app.state.store
        known = idempotency_key and store.has_started(kind, idempotency_key, caller=caller_name(request))
        if check is not None and not known:
            check(body, request.app.state.database)
        return _start(request, response, kind, body, idempotency_key)

    start.__annotations__["body"] = model
    start.__name__ = operation_id
    add_json_route(
        app,
        path,
        start,
        scope="run",
        status_code=202,
        operation_id=operation_id,
        summary=summary,
        tags=[path.rpartition("/")[2]],
        responses=_start_responses(refusals, looks),
    )


def _start(
    request: Request, response: Response, kind: JobKind, body: BaseModel, idempotency_key: str | None
) -> JobView:
    """The committed job. Publishing happens after the commit and never delays or fails the answer."""
    store: JobStore = request.app.state.store
    started = store.start(
        kind,
        body.model_dump(mode="json"),
        idempotency_key=idempotency_key,
        request_id=current_request_id(),
        queue_limit=operations_settings().queue_limit,
        actor=request.state.caller,
    )
    log.info("job_accepted", job_id=started.job.id, job_kind=kind, is_repeat=not started.tickets)
    request.app.state.dispatcher.dispatch(started.tickets)
    response.headers["Location"] = f"/v1/jobs/{started.job.id}"
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return started.job


def _start_responses(refusals: tuple[int, ...], looks: Mapping[str, str]) -> dict[int | str, dict[str, Any]]:
    headers = {
        "Location": {"description": "/v1/jobs/{id}", "schema": {"type": "string", "format": "uri-reference"}},
        "Retry-After": {"description": "seconds until a first look is worth it", "schema": {"type": "integer"}},
    }
    looks = {"getJob": "job_id", "cancelJob": "job_id", **looks}
    links = {
        name: {"operationId": name, "parameters": {parameter: "$response.body#/id"}}
        for name, parameter in looks.items()
    }
    accepted = {"description": "Accepted: the job is stored", "headers": headers, "links": links}
    return {202: accepted, **problem_responses(422, *refusals)}
