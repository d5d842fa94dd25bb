"""`celery -A tests.chaos.toy_worker`: a worker as production's, whose scorings and rescores are toys.

TOY_WAREHOUSE names its file. TOY_HOST lets its processes claim jobs as another machine's: then no kernel tells whether
they live, as in containers, and their leases have to run out. TOY_MUTANT=no-fence breaks the product: a worker is never
told that it has lost its job. Who looks on has to notice.
"""

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from celery import Task

from shared.celery_app import make_celery
from shared.contracts import TASKS, JobKind
from shared.jobs.context import HeldJob
from shared.jobs.runner import _Held, run_job
from tests.chaos.toys import ToyWarehouse, parse_toy

_LOOK_SECONDS = 0.05

if "TOY_HOST" in os.environ:
    socket.gethostname = lambda: os.environ["TOY_HOST"]

if os.environ.get("TOY_MUTANT") == "no-fence":
    for name in ("check", "_raise_if_over"):
        assert hasattr(_Held, name), f"the mutant breaks nothing: there is no {name}"
        setattr(_Held, name, lambda self: None)

app = make_celery("toy")


@app.task(name=TASKS[JobKind.SCORING][0], bind=True)
def score(self: Task, job_id: str) -> None:
    """See Toy."""
    run_job(self.app, job_id, _score)


@app.task(name=TASKS[JobKind.RESCORE][0], bind=True)
def rescore(self: Task, job_id: str) -> None:
    """Write down how the account is when it is looked at."""
    run_job(self.app, job_id, _rescore)


def _warehouse() -> ToyWarehouse:
    return ToyWarehouse(Path(os.environ["TOY_WAREHOUSE"]))


def _score(held: HeldJob) -> dict[str, Any]:
    toy, warehouse = parse_toy(held.request["scope"]["account_ids"][0]), _warehouse()
    held.report("toy", 0, toy.batches, "batches")
    for done, key in enumerate(toy.effect_keys, start=1):
        _take(held, toy.before, hangs=toy.hangs)
        if toy.is_poison:
            os.kill(os.getpid(), signal.SIGKILL)
        _write(held, warehouse, key, held.fence if toy.differs else 0)
        held.report("toy", done, toy.batches, "batches")
        _take(held, toy.after)
    return {"batches": toy.batches}


def _rescore(held: HeldJob) -> dict[str, Any]:
    warehouse, account_id = _warehouse(), held.request["account_id"]
    version = warehouse.ask(account_id)
    _take(held, 20)
    _write(held, warehouse, account_id, version)
    return {"version": version}


def _write(held: HeldJob, warehouse: ToyWarehouse, key: str, version: int) -> None:
    asked = time.time()
    held.check()
    warehouse.merge(key, held.job_id, held.fence, version, asked=asked)


def _take(held: HeldJob, milliseconds: int, *, hangs: bool = False) -> None:
    """Time passes; a cancel is heard meanwhile, as at a batch's end."""
    until = time.monotonic() + milliseconds / 1000
    while hangs or time.monotonic() < until:
        threading.Event().wait(_LOOK_SECONDS if hangs else max(0.0, min(_LOOK_SECONDS, until - time.monotonic())))
        held.report("toy", 0, None, "batches")
