"""REST of the ingest service: starts syncs, and whole pipelines. It never opens the warehouse."""

from fastapi import Depends, Request, Response

from services.ingest.adapters.sources import check_source_files, validate_sync_request
from services.ingest.adapters.states import OperationsSourceStates
from services.ingest.domain.file_check import FilesCheck
from services.ingest.settings import ingest_settings
from shared.contracts import JobKind, PipelineRequest, SyncRequest
from shared.http import IdempotencyKeyHeader, create_app, start_job, start_responses
from shared.http.access import require_caller
from shared.http.problems import problem_responses
from shared.jobs.view import JobView

app = create_app("ingest", "Lands CRM and marketing data in RAW, unchanged and idempotently.")


@app.post(
    "/v1/syncs",
    status_code=202,
    operation_id="startSync",
    summary="Read one source and land it",
    tags=["syncs"],
    responses=start_responses(),
    dependencies=[Depends(require_caller)],
)
def start_sync(
    body: SyncRequest, request: Request, response: Response, idempotency_key: IdempotencyKeyHeader = None
) -> JobView:
    validate_sync_request(body, ingest_settings())
    return start_job(request, response, JobKind.SYNC, body, idempotency_key)


@app.post(
    "/v1/syncs/check",
    operation_id="checkFiles",
    summary="Say what a sync of files would land and reject; lands nothing",
    tags=["syncs"],
    responses=problem_responses(401, 422, 503),
    dependencies=[Depends(require_caller)],
)
def check_files(body: SyncRequest, request: Request) -> FilesCheck:
    """Reads every mapped file to its end before it answers: that takes as long as reading them."""
    states = OperationsSourceStates(request.app.state.database, job_id="", fence=0)
    return check_source_files(body, ingest_settings(), states)


@app.post(
    "/v1/pipelines",
    status_code=202,
    operation_id="startPipeline",
    summary="Sync, build, score, as one job with three children",
    tags=["pipelines"],
    responses=start_responses(),
    dependencies=[Depends(require_caller)],
)
def start_pipeline(
    body: PipelineRequest, request: Request, response: Response, idempotency_key: IdempotencyKeyHeader = None
) -> JobView:
    validate_sync_request(body.sync, ingest_settings())
    return start_job(request, response, JobKind.PIPELINE, body, idempotency_key)
