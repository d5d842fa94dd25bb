"""Celery's names for the transform flow; one call each."""

from typing import Any

from celery import Task, shared_task

from services.transform.adapters.build_record import OperationsRecord
from services.transform.flow import build_marts as run_build
from services.transform.settings import transform_settings
from shared.jobs.context import HeldJob
from shared.jobs.runner import run_job
from shared.operations.database import operations_database
from shared.settings import operations_settings, warehouse_settings
from shared.warehouse import open_warehouse


@shared_task(name="transform.build_marts", bind=True)
def build_marts(self: Task, job_id: str) -> None:
    run_job(self.app, job_id, _build)


def _build(job: HeldJob) -> dict[str, Any]:
    patience = operations_settings().lease_seconds
    record = OperationsRecord(operations_database(), job.job_id, job.fence, patience_seconds=patience)
    return run_build(job, open_warehouse(warehouse_settings()), transform_settings(), record)
