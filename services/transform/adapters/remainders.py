"""What an earlier build left undone, and whether it can be made up for by running only that."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.transform.domain.build_plan import BuildPlan, Remainder
from shared.contracts import JobKind, JobState
from shared.errors import NotFound, TerminalError
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildNode, BuildRun, Job


def read_remainder(database: OperationsDatabase, build_id: str) -> Remainder:
    """What failed or was skipped in a build that ran to its end. With a test that failed come the models that it looks
    at and all that is downstream of them: it would find the same rows again in the same tables.

    Raises:
        NotFound: `build-not-found`.
        TerminalError: `build-not-retryable` (409), with the reason: it succeeded, goes on, never came to its end, or a
            later build has been at the marts.
    """
    with database.read() as session:
        build = find_build(session, build_id)
        _require_ended(build)
        run = session.get(BuildRun, build.id)
        nodes = session.scalars(sa.select(BuildNode).where(BuildNode.job_id == build.id)).all()
        left = [node for node in nodes if node.status in ("failed", "skipped")]
        is_whole = build.total == len(nodes) and not any(node.status == "running" for node in nodes)
        if run is None or not left or not is_whole:
            raise _refusal(build, "broke off before dbt had come to every node, so what is left is not known")
        chain = _chain(session, build)
        root = session.get_one(Job, chain[0])
        _require_last(session, build, chain)
        assert root.started_at is not None
        return Remainder(
            chain=chain,
            plan=BuildPlan(chain[0], run.settings_version, run.project_version, run.full_refresh),
            unique_ids=frozenset(node.unique_id for node in left),
            names=tuple(sorted({name for node in left for name in _to_run(node)})),
            root_started_at=root.started_at,
        )


def find_build(session: Session, build_id: str) -> Job:
    """Raises NotFound, `build-not-found`, also for a job of another kind."""
    job = session.get(Job, build_id)
    if job is None or job.kind != JobKind.BUILD:
        raise NotFound(
            f"No build has the id {build_id!r}. GET /v1/jobs?kind=build lists them.",
            code="build-not-found",
            title="Unknown build",
        )
    return job


def has_landed_since(database: OperationsDatabase, moment: datetime) -> bool:
    """Whether a sync ran at that moment or later: what was built before it and after it are of different RAW."""
    syncs = sa.select(Job.id).where(
        Job.kind == JobKind.SYNC,
        Job.started_at.is_not(None),
        sa.or_(Job.finished_at.is_(None), Job.finished_at > moment),
    )
    with database.read() as session:
        return session.execute(syncs.limit(1)).first() is not None


def is_disturbed(database: OperationsDatabase, rest: Remainder, retry_id: str) -> bool:
    """Whether since the root began a sync ran, or dbt for a build that isn't of its chain: with other settings or
    another project, or in several attempts, of which only the last is recorded."""
    if has_landed_since(database, rest.root_started_at):
        return True
    others = (
        sa.select(Job.fence, BuildRun)
        .join(BuildRun, BuildRun.job_id == Job.id)
        .where(
            Job.id.not_in([*rest.chain, retry_id]),
            sa.or_(Job.finished_at.is_(None), Job.finished_at > rest.root_started_at),
        )
    )
    built_from = (rest.plan.settings_version, rest.plan.project_version)
    with database.read() as session:
        return any(
            fence > 1 or (run.settings_version, run.project_version) != built_from
            for fence, run in session.execute(others)
        )


def _to_run(node: BuildNode) -> list[str]:
    """What dbt is to select in order to make up for this node."""
    return [node.node, *(f"{model}+" for model in node.tested or ())]


def _require_ended(build: Job) -> None:
    if build.state == JobState.SUCCEEDED:
        raise _refusal(build, "succeeded, so nothing of it is left to run", way_out="Start a new build")
    if build.state in (JobState.QUEUED, JobState.RUNNING):
        raise _refusal(build, f"is {build.state}", way_out=f"Wait for its end (GET /v1/jobs/{build.id})")


def _chain(session: Session, build: Job) -> tuple[str, ...]:
    chain = [build.id]
    while (earlier := build.request.get("retry_of")) is not None:
        build = session.get_one(Job, earlier)
        chain.insert(0, build.id)
    return tuple(chain)


def _require_last(session: Session, build: Job, chain: tuple[str, ...]) -> None:
    """A selection that was built since does no harm; a whole build, or another retry of these, has left other marts."""
    later = sa.select(Job).where(
        Job.kind == JobKind.BUILD,
        Job.started_at > build.started_at,
        Job.id.not_in(chain),
        Job.state != JobState.RUNNING,
    )
    for other in session.scalars(later.order_by(Job.started_at)):
        retry_of = other.request.get("retry_of")
        if not _is_whole(other):
            continue
        if session.get(BuildRun, other.id) is not None and (retry_of is None or retry_of in chain):
            raise _refusal(build, f"is not the last one: build {other.id} came after it", way_out="Retry that one")


def _is_whole(build: Job) -> bool:
    """Also where `select` is blank, or names everything; of a load's build, where it was not the affected part."""
    if build.request.get("load_id") is not None:
        return bool((build.result or {}).get("built", "everything") == "everything")
    selected = (build.request.get("select") or "").split()
    return not selected or bool({"*", "fqn:*"} & set(selected))


def _refusal(build: Job, reason: str, way_out: str = "Start a new build") -> TerminalError:
    return TerminalError(
        f"Build {build.id} {reason}. {way_out} instead.",
        code="build-not-retryable",
        title="That build can't be retried",
        status=409,
        build_id=build.id,
    )
