"""What a scoring job becomes when it meets the time limit."""

from collections.abc import Callable
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from services.scoring import tasks
from shared.contracts import JobKind, JobState
from shared.jobs import dispatch
from shared.jobs.context import JobContext
from shared.jobs.creation import Ticket
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase

RunScoring = Callable[..., tuple[str, list[Ticket]]]


@pytest.fixture
def run_into_limit(operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch) -> RunScoring:
    """One scoring with this request whose flow is cut after a committed batch; gives its state and what follows."""
    published: list[Ticket] = []

    def flow(job: JobContext, *_: object) -> dict[str, Any]:
        job.check()
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(tasks, "run_scoring", flow)
    monkeypatch.setattr(dispatch, "publish", lambda app, ticket: published.append(ticket))

    def run(**request: Any) -> tuple[str, list[Ticket]]:
        job = JobStore(operations).start(JobKind.SCORING, request).job
        tasks.score_accounts(job.id)
        return JobStore(operations).get(job.id).state, published

    return run


def test_a_long_scoring_is_handed_back_and_goes_on(run_into_limit: RunScoring) -> None:
    state, published = run_into_limit()
    assert state == JobState.RUNNING and len(published) == 1


def test_a_long_dry_run_fails_since_it_has_nothing_to_go_on_from(run_into_limit: RunScoring) -> None:
    state, published = run_into_limit(dry_run=True)
    assert state == JobState.FAILED and published == []
