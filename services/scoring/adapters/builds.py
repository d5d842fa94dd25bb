"""What the build jobs say about the marts: no scoring on a bad or stale one."""

from datetime import UTC, datetime, timedelta

from shared.contracts import JobKind, JobState
from shared.errors import TerminalError
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase


def require_trusted_marts(database: OperationsDatabase, *, is_forced: bool, max_age_hours: float) -> None:
    """Pass when the newest build succeeded and is young enough, or when the caller forces.

    No build in the job table passes too: the marts may have been built by hand, and the flow says it if there are none.

    Raises:
        TerminalError: `marts-not-trusted` after a failed build, `marts-stale` after an old one.
    """
    last = JobStore(database).latest_ended(JobKind.BUILD)
    if is_forced or last is None or last.finished_at is None:
        return
    if last.state == JobState.FAILED:
        reason = (last.error or {}).get("detail", "no reason recorded")
        raise TerminalError(
            f"The newest build failed ({reason}), so the marts may be wrong. Mend it and build again, or score with "
            "force.",
            code="marts-not-trusted",
            title="The marts can't be trusted",
            build_id=last.id,
        )
    age = datetime.now(UTC) - last.finished_at
    if age > timedelta(hours=max_age_hours):
        raise TerminalError(
            f"The newest build is {age.total_seconds() / 3600:.0f} hours old (GTM_MART_MAX_AGE_HOURS is "
            f"{max_age_hours:g}). Start a build first, or score with force.",
            code="marts-stale",
            title="The marts are stale",
            build_id=last.id,
        )
