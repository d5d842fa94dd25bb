"""A build that is cancelled, and one whose worker is killed: dbt stops, and the next build mends everything."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.transform.adapters.marts import drop_leftovers
from services.transform.flow import _clear_away
from shared.jobs.context import JobCancelled, LeaseLost
from tests.conftest import wait_until
from tests.transform.builds import REPOSITORY, BuiltTwice, House, RecordingJob, copy_of
from tests.transform.mini import MILL, MILL_ROWS, make_mill

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


def test_cancelled_job_stops_dbt_and_leaves_every_mart_whole(built: BuiltTwice, scratch: House) -> None:
    with pytest.raises(JobCancelled):
        scratch.build(RecordingJob("cancelled", stops_with=JobCancelled()))
    assert _dbt_among(psutil.Process()) == []
    with scratch.warehouse.core(write=True):
        pass  # neither the lock nor the file is held any more
    assert scratch.tables("analytics", "analytics_staging") == list(built.checksums_of_first)
    assert scratch.checksums() == built.checksums_of_first


def test_what_dbt_had_not_thrown_away_is_dropped(scratch: House) -> None:
    """A kill between a table's commit and the drop of its predecessor takes luck: its effect is made by hand here."""
    with scratch.warehouse.core(write=True) as connection:
        connection.exec_driver_sql("create table analytics.dim_accounts__dbt_backup as select 1 as x")
        connection.exec_driver_sql("create view analytics_staging.stg_x__dbt_tmp as select 1 as x")
    assert sorted(drop_leftovers(scratch.warehouse)) == [
        "analytics.dim_accounts__dbt_backup",
        "analytics_staging.stg_x__dbt_tmp",
    ]
    assert drop_leftovers(scratch.warehouse) == []


@pytest.mark.parametrize("is_held", [True, False])
def test_only_who_holds_the_job_clears_away(scratch: House, is_held: bool) -> None:
    """On Snowflake another worker's dbt may be at work already."""
    with scratch.warehouse.core(write=True) as connection:
        connection.exec_driver_sql("create or replace table analytics.dim_accounts__dbt_tmp as select 1 as x")
    job = RecordingJob("late", stops_with=JobCancelled() if is_held else LeaseLost())
    job.reported.append(("build", 1, 1, "nodes"))
    _clear_away(job, scratch.warehouse)
    assert drop_leftovers(scratch.warehouse) == ([] if is_held else ["analytics.dim_accounts__dbt_tmp"])


@pytest.mark.processes
@pytest.mark.long
def test_killed_worker_leaves_no_dbt_and_every_mart_whole(tmp_path: Path) -> None:
    """Killed at several nodes: each table is that of one build, the old or the new, and the next build mends all."""
    house = make_mill(tmp_path / "var")
    house.build(RecordingJob("first"))
    for nodes_done in (1, 4, 8):
        with _worker(house) as worker:
            assert worker.stdout is not None
            for line in worker.stdout:
                if int(line) >= nodes_done:
                    break
            _kill_with_dbt(worker)
        drop_leftovers(house.warehouse)  # as the next attempt does first
        assert house.tables("analytics") == [f"analytics.{name}" for name in sorted(MILL)]
        for name in MILL:
            whole = house.rows(f"select count(*), count(distinct built_by) from analytics.{name}")
            assert whole == [(MILL_ROWS, 1)], (name, nodes_done)
    run_id = house.build(RecordingJob("mending"))["dbt_run_id"]
    for name in MILL:
        assert house.rows(f"select distinct built_by from analytics.{name}") == [(run_id,)]


@pytest.mark.processes
@pytest.mark.long
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
