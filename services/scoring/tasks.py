"""Celery's names for the scoring flows; one call each, after a look at whether the marts may be trusted."""

from collections.abc import Callable
from typing import Any

from celery import Task, shared_task

from services.scoring.adapters.attempts import JobAttempts
from services.scoring.adapters.builds import require_trusted_marts
from services.scoring.adapters.marts import count_load_accounts
from services.scoring.adapters.models import open_model
from services.scoring.domain.tally import Tally
from services.scoring.flow import rescore_account as run_rescore
from services.scoring.flow import score_accounts as run_scoring
from services.scoring.settings import scoring_settings
from shared.contracts import JobKind, LoadScope, ScoringRequest
from shared.jobs.context import HeldJob
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.operations.database import operations_database
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse


@shared_task(name="scoring.score_accounts", bind=True)
def score_accounts(self: Task, job_id: str) -> None:
    # Resumable: accounts already written are skipped, so a long batch may be cut by the time limit and go on.
    # A dry run writes nothing to go on from: it would start over for ever.
    run_job(self.app, job_id, _with(run_scoring), is_resumable=lambda request: not request.get("dry_run", False))


@shared_task(name="scoring.rescore_account", bind=True)
def rescore_account(self: Task, job_id: str) -> None:
    run_job(self.app, job_id, _rescore)


def _rescore(job: HeldJob) -> dict[str, Any]:
    """A load that has changed no account needs neither the marts' trust nor the model; what one changed beyond
    GTM_REFRESH_ACCOUNTS is a scoring's, which waits its turn."""
    load_id = job.request.get("load_id")
    if load_id is not None and count_load_accounts(open_warehouse(warehouse_settings()), load_id) == 0:
        return {**Tally(left=0).to_result(), "reason": f"Load {load_id} has changed no account."}
    result = _with(run_rescore)(job)
    if not result.get("left"):
        return result
    request = ScoringRequest(scope=LoadScope(load_id=load_id)).model_dump(mode="json")
    started = JobStore(operations_database()).start(
        JobKind.SCORING, request, idempotency_key=f"rest of rescore {job.job_id}"
    )
    return {**result, "left_to": started.job.id}  # the sweeper publishes it


def _with(flow: Callable[..., dict[str, Any]]) -> Callable[[HeldJob], dict[str, Any]]:
    def work(job: HeldJob) -> dict[str, Any]:
        settings, operations = scoring_settings(), operations_database()
        require_trusted_marts(
            operations, is_forced=bool(job.request.get("force")), max_age_hours=settings.mart_max_age_hours
        )
        attempts = JobAttempts(operations, job.job_id, job.fence)
        return flow(job, open_warehouse(warehouse_settings()), open_model(settings), settings, attempts)

    return work
