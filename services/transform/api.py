"""REST of the transform service: starts builds. It never opens the warehouse."""

from fastapi import Depends, Request, Response

from shared.contracts import BuildRequest, JobKind
from shared.http import IdempotencyKeyHeader, create_app, start_job, start_responses
from shared.http.access import require_caller
from shared.jobs.view import JobView

app = create_app("transform", "Turns RAW into trusted marts with dbt.")


@app.post(
    "/v1/builds",
    status_code=202,
    operation_id="startBuild",
    summary="Run dbt build",
    tags=["builds"],
    responses=start_responses(),
    dependencies=[Depends(require_caller)],
)
def start_build(
    body: BuildRequest, request: Request, response: Response, idempotency_key: IdempotencyKeyHeader = None
) -> JobView:
    return start_job(request, response, JobKind.BUILD, body, idempotency_key)
