"""One scoring in a process of its own, as a worker does it but for Celery: `python -m benchmarks.scoring_run`.

Settings come from the environment. Prints one line of JSON: what it took, and the job's result.
"""

import json
import resource
import time
from collections.abc import Mapping, Sequence
from typing import Any

from services.scoring.adapters.attempts import JobAttempts
from services.scoring.adapters.models import open_model
from services.scoring.domain.interview import ModelReply
from services.scoring.flow import score_accounts
from services.scoring.settings import scoring_settings
from shared.celery_app import make_celery
from shared.contracts import JobKind, JobState
from shared.jobs.context import HeldJob
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.operations.database import operations_database
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse


class _Timed:
    """The model, with the moments of the first question and of the last answer."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.first: tuple[float, float] | None = None
        self.last = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def __aenter__(self) -> "_Timed":
        await self._model.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._model.__aexit__(*error)

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        self.first = self.first or (time.perf_counter(), time.process_time())
        reply: ModelReply = await self._model.ask(messages, schema, seed, num_predict)
        self.last = time.perf_counter()
        return reply


def main() -> None:
    """Start a scoring of all and do it."""
    database, settings = operations_database(), scoring_settings()
    model = _Timed(open_model(settings))
    figures: dict[str, Any] = {}

    def work(job: HeldJob) -> dict[str, Any]:
        attempts = JobAttempts(database, job.job_id, job.fence)
        started, cpu = time.perf_counter(), time.process_time()
        warehouse = open_warehouse(warehouse_settings())
        # `_Timed` stands before a LeadModel, whose other attributes it passes on.
        result = score_accounts(job, warehouse, model, settings, attempts)  # type: ignore[arg-type]  # see above
        figures["seconds"], figures["cpu_seconds"] = time.perf_counter() - started, time.process_time() - cpu
        if model.first:
            figures["asking_seconds"] = model.last - model.first[0]
        return result

    job = JobStore(database).start(JobKind.SCORING, {}).job
    run_job(make_celery("bench", is_producer=True), job.id, work)
    ended = JobStore(database).get(job.id)
    if ended.state != JobState.SUCCEEDED:
        raise SystemExit(f"the scoring {ended.state}: {ended.error}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**figures, "peak_mb": peak, "result": ended.result}))


if __name__ == "__main__":
    main()
