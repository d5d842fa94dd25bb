"""What the build jobs say about the marts: no scoring on a bad or stale one."""

from datetime import timedelta

import sqlalchemy as sa

from shared.contracts import JobKind, JobState
from shared.errors import TerminalError
from shared.operations.database import OperationsDatabase
from shared.operations.models import Job

# Raised before dbt runs a node. `dbt-compile-failed` and `warehouse-busy` are not here: both also come half-way.
_CHANGED_NOTHING = ("invalid-request", "nothing-landed", "scoring-weights-invalid", "warehouse-not-configured")


def require_trusted_marts(database: OperationsDatabase, *, is_forced: bool, max_age_hours: float) -> None:
    """Pass when the last full build that succeeded is young enough and no later build broke off, or when forced.

    A build with `select` proves nothing about the rest of the marts, but breaking off it may leave them half-built.
    No full build in the job table passes too: the marts may have been built by hand, and the flow says it if there are
    none.

    Raises:
        TerminalError: `marts-not-trusted` after a build that broke off, `marts-stale` after an old one.
    """
    if is_forced:
        return
    with database.read() as session:
        proof = session.scalars(_last_proof()).first()
        broken = session.scalars(_last_broken(proof)).first()
        now = database.now(session)
    if broken is not None:
        raise _to_distrust(broken)
    if proof is None or proof.finished_at is None:
        return
    age = now - proof.finished_at
    if age > timedelta(hours=max_age_hours):
        raise TerminalError(
            f"The last full build that succeeded is {age.total_seconds() / 3600:.0f} hours old (GTM_MART_MAX_AGE_HOURS "
            f"is {max_age_hours:g}). Start a build without `select` first, or score with force.",
            code="marts-stale",
            title="The marts are stale",
            build_id=proof.id,
        )


def _last_proof() -> sa.Select[tuple[Job]]:
    is_full = Job.request["select"].as_string().is_(None)
    succeeded = sa.select(Job).where(Job.kind == JobKind.BUILD, Job.state == JobState.SUCCEEDED, is_full)
    return succeeded.order_by(Job.finished_at.desc()).limit(1)


def _last_broken(proof: Job | None) -> sa.Select[tuple[Job]]:
    """Builds that failed or were cancelled after they had started, later than the proof by either end.

    One that was taken up several times may have changed the marts in an attempt before the one that its error tells of;
    each claim raises the fence.
    """
    code = sa.func.coalesce(Job.error["code"].as_string(), "")
    query = sa.select(Job).where(
        Job.kind == JobKind.BUILD,
        Job.state.in_([JobState.FAILED, JobState.CANCELLED]),
        Job.started_at.is_not(None),
        sa.or_(code.not_in(_CHANGED_NOTHING), Job.fence > 1),
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
