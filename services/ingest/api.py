"""REST of the ingest service: starts syncs, and whole pipelines. It never opens the warehouse."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Depends, FastAPI, Request, Response

from services.ingest.adapters.files.watch import FolderWatch
from services.ingest.adapters.sources import check_source_files, validate_sync_request
from services.ingest.adapters.states import OperationsSourceStates
from services.ingest.domain.file_check import FilesCheck
from services.ingest.settings import ingest_settings
from shared.contracts import JobKind, PipelineRequest, SyncRequest
from shared.http import IdempotencyKeyHeader, create_app, start_job, start_responses
from shared.http.access import require_caller
from shared.http.problems import problem_responses
from shared.jobs.view import JobView
from shared.logging import get_logger

log = get_logger(__name__)


@contextmanager
def _watching(app: FastAPI) -> Iterator[None]:
    """Look at the watched folders (GTM_FILES_WATCH) in a thread while the API serves; each may run, one job is made."""
    settings, stop = ingest_settings(), threading.Event()

    def start(request: SyncRequest, key: str) -> None:
        started = app.state.store.start(JobKind.SYNC, request.model_dump(mode="json"), idempotency_key=key)
        if started.tickets:
            log.info("watched_folder_changed", job_id=started.job.id, **request.options)
        app.state.dispatcher.dispatch(started.tickets)

    def run() -> None:
        watch = FolderWatch(settings, start)
        while not stop.wait(settings.files_watch_seconds):
            watch.look()

    if not settings.files_watch:
        yield
        return
    thread = threading.Thread(target=run, name="watched-folders")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


app = create_app("ingest", "Lands CRM and marketing data in RAW, unchanged and idempotently.", alongside=_watching)


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
