"""REST of the transform service: starts builds, shows what they did. It opens the warehouse for failed rows alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.transform.adapters.build_nodes import (
    NOTHING_SEEN,
    BuildNodePage,
    FailedRowsPage,
    Seen,
    read_changes,
    read_failed_rows,
    read_nodes,
)
from services.transform.adapters.remainders import find_build, read_remainder
from services.transform.domain.run_results import NodeStatus
from services.transform.settings import transform_settings
from shared.access.audit import AuditEvent, append_entry
from shared.contracts import BuildRequest, JobKind
from shared.errors import NotFound
from shared.http import add_start, create_app, guarded
from shared.http.problems import problem_responses
from shared.jobs.store import is_ended
from shared.logging import current_request_id
from shared.operations.database import OperationsDatabase
from shared.settings import warehouse_settings
from shared.warehouse import Warehouse, open_warehouse

app = create_app("transform", "Turns RAW into trusted marts with dbt.")

_POLL_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 2.0  # with a warehouse that a build holds for minutes, a caller is told to come again
_TO_FAILED_ROWS: Final = {
    "listFailedRows": {
        "operationId": "listFailedRows",
        "parameters": {"build_id": "$request.path.build_id", "node": "$response.body#/items/0/unique_id"},
    }
}
# One page with everything in it: it needs its own scripts and no network.
_PAGE_POLICY: Final = "default-src 'self' data: 'unsafe-inline' 'unsafe-eval'; connect-src 'self'"


def require_build(build_id: str, request: Request) -> None:
    """Raises NotFound while that can still be the answer: a stream's 200 is sent before its first event is made."""
    with request.app.state.database.read() as session:
        find_build(session, build_id)


def _check_build(body: BuildRequest, database: OperationsDatabase) -> None:
    if body.retry_of is not None:  # the worker looks again, then at the settings too
        read_remainder(database, body.retry_of)


add_start(
    app,
    "/v1/builds",
    JobKind.BUILD,
    BuildRequest,
    operation_id="startBuild",
    summary="Run dbt build, or what an earlier build left undone",
    check=_check_build,
    refusals=(404, 409),
    looks={"listBuildNodes": "build_id"},
)


@app.get(
    "/v1/builds/{build_id}/nodes",
    operation_id="listBuildNodes",
    summary="What each model and test of a build did, in their order",
    tags=["builds"],
    responses={200: {"links": _TO_FAILED_ROWS}, **problem_responses(404, 422)},
    dependencies=guarded("read"),
)
def list_build_nodes(
    build_id: str,
    request: Request,
    status: Annotated[list[NodeStatus] | None, Query(description="repeatable; all where left out")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> BuildNodePage:
    return read_nodes(request.app.state.database, build_id, statuses=status, cursor=cursor, limit=limit)


@app.get(
    "/v1/builds/{build_id}/nodes/{node}/rows",
    operation_id="listFailedRows",
    summary="Rows that a test found; they may hold personal data",
    description="`node` is a test's name or unique_id. The rows are those of the last build that ran the test.",
    tags=["builds"],
    responses=problem_responses(404, 410, 422),
    dependencies=guarded("admin"),
)
def list_failed_rows(
    build_id: str,
    node: str,
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> FailedRowsPage:
    response.headers["Cache-Control"] = "no-store"
    database = request.app.state.database
    page = read_failed_rows(database, _impatient_warehouse(), build_id, node, limit=limit, offset=offset)
    _record_look(request, build_id, {"node": node, "offset": offset, "rows": len(page.items)})
    return page


def _record_look(request: Request, build_id: str, detail: dict[str, Any]) -> None:
    """Before the rows leave: without a row of the log nobody sees personal data."""
    database, request_id = request.app.state.database, current_request_id()
    event = AuditEvent("rows.read", request.state.caller, build_id, 200, request_id, detail=detail)
    with database.write() as session:
        append_entry(database, session, event)


@app.get(
    "/v1/builds/{build_id}/events",
    operation_id="followBuild",
    summary="Each node as it starts and ends, as server-sent events; the last one is the job",
    description="`event: node` with an id, then `event: job`. Last-Event-ID takes up where a lost stream stopped.",
    tags=["builds"],
    response_class=EventSourceResponse,
    responses=problem_responses(404),
    dependencies=[*guarded("read"), Depends(require_build)],
)
async def follow_build(
    build_id: str, request: Request, last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None
) -> AsyncIterator[ServerSentEvent]:
    state = request.app.state
    seen = _parse_event_id(last_event_id)
    while True:
        job = await asyncio.to_thread(state.store.get, build_id)  # before its nodes: the end has all of them
        changes = await asyncio.to_thread(read_changes, state.database, build_id, seen, is_over=is_ended(job))
        for seen, node in changes:
            yield ServerSentEvent(raw_data=node.model_dump_json(), event="node", id=f"{seen[0]}.{seen[1]}")
        if is_ended(job):
            yield ServerSentEvent(raw_data=job.model_dump_json(), event="job")
            return
        await asyncio.sleep(_POLL_SECONDS)


@app.get("/docs/dbt", include_in_schema=False, dependencies=guarded("read"))
def redirect_to_docs() -> RedirectResponse:
    return RedirectResponse("dbt/")


@app.get(
    "/docs/dbt/",
    operation_id="readProjectDocs",
    summary="The dbt project's documentation: models, columns, tests, lineage",
    tags=["docs"],
    response_class=FileResponse,
    responses=problem_responses(404),
    dependencies=guarded("read"),
)
def read_project_docs() -> FileResponse:
    path = transform_settings().dbt_docs_path
    if not path.is_file():
        raise NotFound(
            "The project's documentation is written by the first whole build that succeeds. Start one: POST "
            "/v1/builds, or `gtm build`.",
            code="docs-not-built",
            title="The documentation was not built yet",
        )
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _PAGE_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


def _impatient_warehouse() -> Warehouse:
    settings = warehouse_settings()
    patience = min(settings.lock_timeout_seconds, _PATIENCE_SECONDS)
    return open_warehouse(settings.model_copy(update={"lock_timeout_seconds": patience}))


def _parse_event_id(text: str | None) -> Seen:
    """What is no id of ours starts at the beginning: a follower sees a node twice, and misses none."""
    fence, _, revision = (text or "").partition(".")
    is_ours = all(part.isascii() and part.isdigit() and len(part) < 10 for part in (fence, revision))
    return (int(fence), int(revision)) if is_ours else NOTHING_SEEN
