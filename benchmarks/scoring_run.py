"""One scoring in a process of its own, as a worker does it but for Celery: `python -m benchmarks.scoring_run`.

Settings come from the environment. Prints one line of JSON: what it took, and the job's result. BENCH_ASKED names a
file for the questions that it has asked.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from services.scoring.adapters.attempts import JobAttempts
from services.scoring.adapters.models import open_model
from services.scoring.domain.interview import ModelReply
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings, scoring_settings
from shared.celery_app import make_celery
from shared.contracts import JobKind, JobState
from shared.jobs.context import HeldJob
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.operations.database import operations_database
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse


class _Watched:
    """The model, with the moments of the first question and of the last answer, and what it was asked."""

    def __init__(self, model: Any, *, keeps_questions: bool) -> None:
        self._model = model
        self._keeps_questions = keeps_questions
        self.first = self.last = 0.0
        self.questions: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def __aenter__(self) -> "_Watched":
        await self._model.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._model.__aexit__(*error)

    async def ask(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], seed: int, num_predict: int
    ) -> ModelReply:
        self.first = self.first or time.perf_counter()
        if self._keeps_questions:
            options = {"seed": seed, "num_predict": num_predict}
            self.questions.append({"messages": messages, "format": schema, "options": options})
        reply: ModelReply = await self._model.ask(messages, schema, seed, num_predict)
        self.last = time.perf_counter()
        return reply


def main() -> None:
    """Start a scoring of all and do it."""
    database, settings, asked = operations_database(), scoring_settings(), os.environ.get("BENCH_ASKED")
    model = _Watched(open_model(settings), keeps_questions=bool(asked))
    took: dict[str, Any] = {}

    def work(job: HeldJob) -> dict[str, Any]:
        attempts, warehouse = JobAttempts(database, job.job_id, job.fence), open_warehouse(warehouse_settings())
        started, cpu = time.perf_counter(), time.process_time()
        # `_Watched` stands before a LeadModel, whose other attributes it passes on.
        result = score_accounts(job, warehouse, model, settings, attempts)  # type: ignore[arg-type]  # see above
        took["seconds"], took["cpu_seconds"] = time.perf_counter() - started, time.process_time() - cpu
        took["asking_seconds"] = model.last - model.first
        return result

    job = JobStore(database).start(JobKind.SCORING, {}).job
    run_job(make_celery("bench"), job.id, work)
    ended = JobStore(database).get(job.id)
    if ended.state != JobState.SUCCEEDED:
        raise SystemExit(f"the scoring {ended.state}: {ended.error}")
    took["peak_mb"] = _read_peak_mb()
    if asked:
        _write(Path(asked), model.questions, settings)
    print(json.dumps({**took, "result": ended.result}))


def _read_peak_mb() -> float:
    """Of this process's memory; `getrusage` begins with that of the process that has started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _write(path: Path, questions: list[dict[str, Any]], settings: ScoringSettings) -> None:
    """A line for each question, as the bare generator asks it: word for word what the model was asked."""
    url = httpx.URL(settings.ollama_host)
    same = {"model": settings.ollama_model, "stream": False, "truncate": False, "keep_alive": "30m"}
    options = {"temperature": settings.temperature, "num_ctx": settings.num_ctx}
    with path.open("w") as file:
        for one in questions:
            body = {**same, **one, "options": {**options, **one["options"]}}
            file.write(json.dumps({"host": url.host, "port": url.port, "body": body}) + "\n")


if __name__ == "__main__":
    main()
