"""REST of the ingest service: starts syncs, and whole pipelines. It never opens the warehouse."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI, Request

from services.ingest.adapters.files.watch import FolderWatch
from services.ingest.adapters.sources import check_source_files, validate_sync_request
from services.ingest.adapters.states import OperationsSourceStates
from services.ingest.domain.file_check import FilesCheck
from services.ingest.settings import ingest_settings
from shared.access.callers import WATCHED_FOLDER
from shared.contracts import JobKind, PipelineRequest, SyncRequest
from shared.http import add_json_route, add_start, create_app
from shared.http.problems import problem_responses
from shared.logging import get_logger
from shared.operations.database import OperationsDatabase

log = get_logger(__name__)


@contextmanager
def _watching(app: FastAPI) -> Iterator[None]:
    """Look at the watched folders (GTM_FILES_WATCH) in a thread while the API serves; each may run, one job is made."""
    settings, stop = ingest_settings(), threading.Event()

    def start(request: SyncRequest, key: str) -> None:
        body = request.model_dump(mode="json")
        started = app.state.store.start(JobKind.SYNC, body, idempotency_key=key, actor=WATCHED_FOLDER)
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


def _check_sync(body: SyncRequest, _database: OperationsDatabase) -> None:
    validate_sync_request(body, ingest_settings())


def _check_pipeline(body: PipelineRequest, _database: OperationsDatabase) -> None:
    validate_sync_request(body.sync, ingest_settings())


add_start(
    app,
    "/v1/syncs",
    JobKind.SYNC,
    SyncRequest,
    operation_id="startSync",
    summary="Read one source and land it",
    check=_check_sync,
)
add_start(
    app,
    "/v1/pipelines",
    JobKind.PIPELINE,
    PipelineRequest,
    operation_id="startPipeline",
    summary="Sync, build, score, as one job with three children",
    check=_check_pipeline,
)


def check_files(body: SyncRequest, request: Request) -> FilesCheck:
    """Reads every mapped file to its end before it answers: that takes as long as reading them."""
    states = OperationsSourceStates(request.app.state.database, job_id="", fence=0)
    return check_source_files(body, ingest_settings(), states)


add_json_route(
    app,
    "/v1/syncs/check",
    check_files,
    scope="run",
    operation_id="checkFiles",
    summary="Say what a sync of files would land and reject; lands nothing",
    tags=["syncs"],
    responses=problem_responses(422),
)
