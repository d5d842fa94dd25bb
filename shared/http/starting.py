"""Starting a job over REST: commit, answer 202, then publish."""

from typing import Annotated, Any

from asgi_correlation_id import correlation_id
from fastapi import Header, Request, Response
from pydantic import BaseModel

from shared.contracts import JobKind
from shared.http.problems import problem_responses
from shared.jobs.store import JobStore
from shared.jobs.view import JobView

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="The same key and body give the same job; the same key with another body gives 422.",
    ),
]


def start_responses() -> dict[int | str, dict[str, Any]]:
    """For a start route's `responses`."""
    headers = {"Location": {"description": "/v1/jobs/{id}", "schema": {"type": "string"}}}
    return {202: {"description": "Accepted", "headers": headers}, **problem_responses(401, 422, 503)}


def start_job(
    request: Request, response: Response, kind: JobKind, body: BaseModel, idempotency_key: str | None
) -> JobView:
    """The committed job. Publishing happens after the commit and never delays or fails the answer."""
    store: JobStore = request.app.state.store
    started = store.start(
        kind, body.model_dump(mode="json"), idempotency_key=idempotency_key, request_id=correlation_id.get()
    )
    request.app.state.dispatcher.dispatch(started.tickets)
    response.headers["Location"] = f"/v1/jobs/{started.job.id}"
    return started.job
