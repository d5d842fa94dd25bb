"""A build that is cancelled, and one whose worker is killed: dbt stops, and the next build mends everything."""

import subprocess
import sys

import psutil
import pytest

from shared.jobs.context import JobCancelled
from tests.conftest import wait_until
from tests.transform.builds import REPOSITORY, BuiltTwice, House, RecordingJob, copy_of

_WORKER = """
import sys
from pathlib import Path
from tests.conftest import wait_until
from tests.transform.builds import House, RecordingJob

class PrintingJob(RecordingJob):
    def report(self, phase, done, total=None, unit="rows"):
        print(done, flush=True)

data_dir, project_dir, select = sys.argv[1:]
House(Path(data_dir), Path(project_dir)).build(PrintingJob("killed", {"select": select or None}))
"""
_LOG = "runs/killed/logs/dbt.log"


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
    with _worker(scratch) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            if int(line) >= 20:  # in the middle: some tables are there anew, most aren't
                break
        _kill_with_dbt(worker)
    scratch.build(RecordingJob("mending"))
    assert scratch.checksums() == built.checksums_of_first
    assert scratch.tables("analytics", "analytics_staging") == list(built.checksums_of_first)


@pytest.mark.processes
def test_killed_worker_takes_a_silent_dbt_along(broken: House) -> None:
    """An endless query writes no log line, so no broken pipe would tell dbt that its reader is gone."""
    with _worker(broken, "assert_endless") as worker:
        log = broken.settings.dbt_dir / _LOG
        wait_until(
            lambda: log.exists() and "START test assert_endless" in log.read_text(),
            "dbt runs the endless test",
            seconds=60,
        )
        _kill_with_dbt(worker)


def _worker(house: House, select: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WORKER, str(house.data_dir), str(house.project_dir), select]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def _kill_with_dbt(worker: subprocess.Popen[str]) -> None:
    dbt = _dbt_among(psutil.Process(worker.pid))
    worker.kill()
    assert len(dbt) == 1
    _, alive = psutil.wait_procs(dbt, timeout=5)
    for process in alive:
        process.kill()
    assert alive == []


def _dbt_among(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children(recursive=True) if "dbt_child" in " ".join(child.cmdline())]
