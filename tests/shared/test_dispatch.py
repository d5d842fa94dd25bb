"""Publishing after the answer: what its lines say."""

import pytest
import structlog
from structlog.testing import capture_logs

from shared.celery_app import make_celery
from shared.contracts import JobKind
from shared.jobs import dispatch
from shared.jobs.creation import Ticket
from shared.jobs.dispatch import Dispatcher


def test_what_is_left_to_the_sweeper_is_told_under_the_requests_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(dispatch, "log", structlog.stdlib.get_logger())  # one that nobody has used keeps no processors
    dispatcher = Dispatcher(make_celery("ingest", is_producer=True))
    with capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        for request_id in ("of-one-caller", "of-another"):
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                dispatcher.dispatch([Ticket(request_id, JobKind.SYNC)])
        dispatcher.close()
    told = [(line["event"], line["job_id"], line["request_id"]) for line in lines]
    assert told == [("publish_left_to_sweeper", one, one) for one in ("of-one-caller", "of-another")]
