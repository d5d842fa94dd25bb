"""Reading many jobs in one look: polling is what an API is asked most."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final, cast

import sqlalchemy as sa

from shared.contracts import JobKind
from shared.jobs.view import JobView, build_job_view
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job

# Statements of a table, made once and run past the ORM: a third of the time. A row has the attributes of a Job.
_JOBS: Final = cast(sa.Table, Job.__table__)
_IDS: Final[sa.BindParameter[Any]] = sa.bindparam("ids", expanding=True)
_BY_ID: Final = sa.select(_JOBS).where(_JOBS.c.id.in_(_IDS))
_CHILDREN: Final = sa.select(_JOBS).where(_JOBS.c.parent_id.in_(_IDS)).order_by(_JOBS.c.position)


def read_jobs(database: OperationsDatabase, job_ids: Collection[str]) -> dict[str, JobView | ValueError]:
    """By id, those that exist, as `JobStore.get` gives them; all as of one moment. ValueError: of a job that this
    release can't read, such as one of a kind that a later one brought."""
    with database.read() as session:
        connection = session.connection()
        jobs = connection.execute(_BY_ID, {"ids": list(job_ids)}).all()
        children: dict[str, list[Job]] = defaultdict(list)
        if pipelines := [job.id for job in jobs if job.kind == JobKind.PIPELINE]:
            for child in connection.execute(_CHILDREN, {"ids": pipelines}):
                children[child.parent_id].append(cast(Job, child))
    return {
        job.id: _read_one(cast(Job, job), children[job.id] if job.kind == JobKind.PIPELINE else None) for job in jobs
    }


def _read_one(job: Job, children: list[Job] | None) -> JobView | ValueError:
    try:
        return build_job_view(job, children)
    except ValueError as error:  # pydantic's ValidationError is one
        return error
