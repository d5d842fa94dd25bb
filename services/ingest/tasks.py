"""Celery's names for the ingest flows; one call each."""

from typing import Any

from celery import Task, shared_task

from services.ingest.adapters.changed_records import OperationsChangedRecords
from services.ingest.adapters.sources import keeps_place
from services.ingest.adapters.states import OperationsSourceStates
from services.ingest.flow import sync_changed_records
from services.ingest.flow import sync_source as run_sync
from services.ingest.settings import ingest_settings
from shared.jobs.context import HeldJob
from shared.jobs.runner import run_job
from shared.operations.database import operations_database
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse


@shared_task(name="ingest.sync_source", bind=True)
def sync_source(self: Task, job_id: str) -> None:
    run_job(self.app, job_id, _sync, is_resumable=keeps_place)


def _sync(job: HeldJob) -> dict[str, Any]:
    database, warehouse, settings = operations_database(), open_warehouse(warehouse_settings()), ingest_settings()
    states = OperationsSourceStates(database, job.job_id, job.fence)
    if job.request.get("mode") == "records":
        records = OperationsChangedRecords(database, job.job_id, job.fence)
        return sync_changed_records(job, warehouse, settings, states, records)
    return run_sync(job, warehouse, settings, states)
