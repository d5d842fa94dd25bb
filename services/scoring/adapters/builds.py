"""What the build jobs say about the marts: no scoring on a bad or stale one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.contracts import JobKind, JobState
from shared.errors import TerminalError
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildRun, Job

# Raised before dbt runs a node. `dbt-compile-failed` and `warehouse-busy` are not here: both also come half-way.
_CHANGED_NOTHING = (
    "invalid-request",
    "nothing-landed",
    "scoring-weights-invalid",
    "warehouse-not-configured",
    "build-not-found",
    "build-not-retryable",
    "build-settings-changed",
)
_RETRIES_SEEN = 100


def require_trusted_marts(database: OperationsDatabase, *, is_forced: bool, max_age_hours: float) -> None:
    """Pass when the last full build that succeeded is young enough and no later build broke off, or when forced.

    A build with `select`, or of the part that a load affects, proves nothing about the rest of the marts, but breaking
    off it may leave them half-built.
    A retry that ran all that a build had left undone, over the same RAW, settings and project, says so in its result
    (`completes`): it counts as the success of that build, which is then as old as what that build had read.
    No full build in the job table passes too: the marts may have been built by hand, and the flow says it if there are
    none.

    Raises:
        TerminalError: `marts-not-trusted` after a build that broke off, `marts-stale` after an old one.
    """
    if is_forced:
        return
    with database.read() as session:
        mended = _mended(session)
        proof = _last_proof(session, mended)
        broken = session.scalars(_last_broken(proof, mended)).first()
        now = database.now(session)
    if broken is not None:
        raise _to_distrust(broken)
    if proof is None:
        return
    age = now - proof.built_at
    if age > timedelta(hours=max_age_hours):
        raise TerminalError(
            f"The last full build that succeeded is {age.total_seconds() / 3600:.0f} hours old (GTM_MART_MAX_AGE_HOURS "
            f"is {max_age_hours:g}). Start a build without `select` first, or score with force.",
            code="marts-stale",
            title="The marts are stale",
            build_id=proof.build_id,
        )


@dataclass(frozen=True)
class _Proof:
    """A full build that succeeded, at once or with the retry that made up for the rest of it."""

    build_id: str
    started_at: datetime
    built_at: datetime
    finished_at: datetime


def _mended(session: Session) -> dict[str, Job]:
    """Builds that a later retry made up for, with that retry: the youngest ones."""
    is_retry = Job.result["completes"].as_string().is_not(None)
    retries = sa.select(Job).where(Job.kind == JobKind.BUILD, Job.state == JobState.SUCCEEDED, is_retry)
    mended: dict[str, Job] = {}
    for retry in session.scalars(retries.order_by(Job.finished_at.desc()).limit(_RETRIES_SEEN)):
        for build_id in (retry.result or {})["completes"]:
            mended.setdefault(build_id, retry)
    return mended


def _last_proof(session: Session, mended: Mapping[str, Job]) -> _Proof | None:
    # Of a load, its result says whether everything was built.
    is_all = sa.or_(Job.request["load_id"].as_string().is_(None), Job.result["built"].as_string() == "everything")
    narrowing = (Job.request["select"].as_string(), Job.request["retry_of"].as_string())
    is_full = sa.and_(*(name.is_(None) for name in narrowing), is_all)
    full = sa.select(Job).where(Job.kind == JobKind.BUILD, is_full)
    succeeded = full.where(Job.state == JobState.SUCCEEDED).order_by(Job.finished_at.desc()).limit(1)
    roots = full.where(Job.id.in_(mended)) if mended else None
    proofs = [_to_proof(job, job) for job in session.scalars(succeeded)]
    proofs += [_to_proof(job, mended[job.id]) for job in session.scalars(roots)] if roots is not None else []
    return max(proofs, key=lambda proof: proof.finished_at, default=None)


def _to_proof(build: Job, end: Job) -> _Proof:
    assert build.started_at is not None and build.finished_at is not None and end.finished_at is not None
    return _Proof(build.id, build.started_at, build.finished_at, end.finished_at)


def _last_broken(proof: _Proof | None, mended: Mapping[str, Job]) -> sa.Select[tuple[Job]]:
    """Builds that failed or were cancelled after they had started, and that no retry made up for, later than the proof
    by either end.

    One that was taken up several times may have changed the marts in an attempt before the one that its error tells of;
    each claim raises the fence. A retry that ended before dbt had its turn changed nothing; of other builds
    that can't be told, since those of earlier versions left no BuildRun.
    """
    code = sa.func.coalesce(Job.error["code"].as_string(), "")
    has_begun = sa.exists().where(BuildRun.job_id == Job.id)
    query = sa.select(Job).where(
        Job.kind == JobKind.BUILD,
        Job.state.in_([JobState.FAILED, JobState.CANCELLED]),
        Job.started_at.is_not(None),
        sa.or_(code.not_in(_CHANGED_NOTHING), Job.fence > 1),
        Job.id.not_in(mended),
        sa.or_(Job.request["retry_of"].as_string().is_(None), has_begun),
    )
    if proof is not None:
        query = query.where(sa.or_(Job.started_at > proof.started_at, Job.finished_at > proof.finished_at))
    return query.order_by(Job.finished_at.desc()).limit(1)


def _to_distrust(build: Job) -> TerminalError:
    reason = (build.error or {}).get("detail", "no reason recorded")
    how = f"failed ({reason})" if build.state == JobState.FAILED else "was cancelled before its end"
    return TerminalError(
        f"Build {build.id} {how} after the last full build that succeeded, so the marts may be wrong. Mend what it "
        "names and build again without `select`, or score with force.",
        code="marts-not-trusted",
        title="The marts can't be trusted",
        build_id=build.id,
    )
