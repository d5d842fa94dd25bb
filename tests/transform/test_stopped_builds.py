"""A build that is cancelled, and one whose worker is killed: dbt stops, and the next build mends everything."""

import subprocess
import sys

import psutil
import pytest

from shared.jobs.context import JobCancelled
from tests.transform.builds import REPOSITORY, BuiltTwice, House, RecordingJob, copy_of

_WORKER = """
import sys
from pathlib import Path
from tests.transform.builds import House, RecordingJob

class PrintingJob(RecordingJob):
    def report(self, phase, done, total=None, unit="rows"):
        print(done, flush=True)

House(Path(sys.argv[1])).build(PrintingJob("killed"))
"""


@pytest.fixture(scope="module")
def scratch(built: BuiltTwice, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A copy to stop builds in."""
    return copy_of(built.house, tmp_path_factory.mktemp("stopped") / "var")


def test_cancelled_job_stops_dbt(scratch: House) -> None:
    with pytest.raises(JobCancelled):
        scratch.build(RecordingJob("cancelled", stops_with=JobCancelled()))
    assert _dbt_among(psutil.Process()) == []
    with scratch.warehouse.core(write=True):
        pass  # neither the lock nor the file is held any more


@pytest.mark.processes
def test_killed_worker_leaves_no_dbt_and_nothing_that_a_build_does_not_mend(built: BuiltTwice, scratch: House) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(scratch.data_dir)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    with worker, worker.stdout:
        for line in worker.stdout:
            if int(line) >= 20:  # in the middle: views are there anew, most tables aren't
                break
        dbt = _dbt_among(psutil.Process(worker.pid))
        worker.kill()
    assert len(dbt) == 1
    _, alive = psutil.wait_procs(dbt, timeout=10)
    assert alive == []
    scratch.build(RecordingJob("mending"))
    assert scratch.checksums() == built.checksums_of_first
    assert scratch.tables("analytics", "analytics_staging") == list(built.checksums_of_first)


def _dbt_among(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children(recursive=True) if "dbt_child" in " ".join(child.cmdline())]
