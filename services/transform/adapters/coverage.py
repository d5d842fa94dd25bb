"""What has landed since the marts were last built as a whole, and whether building on from there would do."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.transform.domain.build_plan import BuildPlan
from shared.contracts import JobKind, JobState
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildRun, Job

_RUNS_SEEN: Final = 200


@dataclass(frozen=True)
class Coverage:
    """`loads`: those whose rows the marts may lack, `load_id` among them. `reason`: why everything must be built; None
    where what stands on the tables of those loads is enough."""

    load_id: str
    loads: tuple[str, ...]
    reason: str | None


def read_coverage(database: OperationsDatabase, plan: BuildPlan, load_id: str) -> Coverage:
    """Since the last build that left the marts as a whole build would, from the same project, settings and day.

    A load counts as built when its sync had ended before that build was taken up; both moments are the database's. A
    build that failed or was cancelled since, or one with other settings, makes a whole build necessary.
    """
    with database.read() as session:
        last, reason = None, None
        for job, run in _runs(session, plan.root_id):
            if job.state != JobState.SUCCEEDED:
                reason = reason or f"build {job.id} {job.state}"
            elif (run.settings_version, run.project_version) != (plan.settings_version, plan.project_version):
                reason = reason or f"build {job.id} ran with other settings, another project or on another day"
            if is_covering(job):
                last = job
                break
        if last is None:
            return Coverage(load_id, (load_id,), "no whole build has succeeded")
        loads = {load_id, *session.scalars(_landed_since(last))}
        return Coverage(load_id, tuple(sorted(loads)), reason)


def is_covering(build: Job) -> bool:
    """A build after which the marts hold all that had landed: a whole one, or one that built on from such a build."""
    request = build.request
    if build.state != JobState.SUCCEEDED or request.get("select") is not None or request.get("retry_of") is not None:
        return False
    return request.get("load_id") is None or (build.result or {}).get("built") in ("everything", "affected")


def _runs(session: Session, job_id: str) -> list[tuple[Job, BuildRun]]:
    """Builds in which dbt ran, the latest first, without the one that asks."""
    query = sa.select(Job, BuildRun).join(BuildRun, BuildRun.job_id == Job.id)
    query = query.where(Job.kind == JobKind.BUILD, Job.id != job_id)
    return [(job, run) for job, run in session.execute(query.order_by(Job.started_at.desc()).limit(_RUNS_SEEN))]


def _landed_since(build: Job) -> sa.Select[tuple[str]]:
    return sa.select(Job.id).where(
        Job.kind == JobKind.SYNC,
        Job.started_at.is_not(None),
        sa.or_(Job.finished_at.is_(None), Job.finished_at > build.started_at),
    )
