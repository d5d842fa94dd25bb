"""A project of a few nodes and the job protocol around it, for what a build is besides its models."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery

from services.transform.adapters.build_record import OperationsRecord
from services.transform.flow import build_marts
from shared.contracts import BuildRequest, JobKind
from shared.jobs.context import HeldJob
from shared.jobs.runner import run_job
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase
from tests.transform.builds import REPOSITORY, House

_FILES = {
    "dbt_project.yml": """
name: mini
profile: fleet_gtm
flags: {send_anonymous_usage_stats: false}
models: {+materialized: table}
data_tests: {+store_failures: true, +schema: failures}
""",
    "models/first.sql": "select 1 as id",
    "models/second.sql": "select id from {{ ref('first') }}",
    "models/third.sql": "select 3 as id, '{{ invocation_id }}' as built_by",
    # `first` is there, but what reads it has to wait until the way is clear
    "tests/assert_way_is_clear.sql": "select blocker, note, 'Empty analytics.blockers.' as message"
    " from analytics.blockers -- {{ ref('first') }}",
    "tests/assert_third_is_small.sql": "{{ config(severity='warn') }} select id, 'It is 3.' as message"
    " from {{ ref('third') }} where id > 2",
}


MILL_ROWS = 100_000
# Its marts. All rows of one are of one build at any moment: a merge too commits as a whole.
MILL = [*(f"table_{n}" for n in range(6)), *(f"view_{n}" for n in range(3)), "merged"]


@dataclass(frozen=True)
class MiniHouse:
    """A warehouse with a build of four kinds of ends, and the job table that its builds are in."""

    house: House
    operations: OperationsDatabase

    @property
    def store(self) -> JobStore:
        return JobStore(self.operations)

    def sql(self, statement: str) -> None:
        with self.house.warehouse.core(write=True) as connection:
            connection.exec_driver_sql(statement)

    def start(self, **request: Any) -> str:
        return self.store.start(JobKind.BUILD, BuildRequest(**request).model_dump(mode="json")).job.id

    def run(self, job_id: str) -> JobView:
        """As the worker does."""
        run_job(Celery("test", broker="memory://"), job_id, self._work)
        return self.store.get(job_id)

    def build(self, **request: Any) -> JobView:
        return self.run(self.start(**request))

    def _work(self, job: HeldJob) -> dict[str, Any]:
        record = OperationsRecord(self.operations, job.job_id, job.fence)
        return build_marts(job, self.house.warehouse, self.house.settings, record)


def make_mini_house(data_dir: Path, operations: OperationsDatabase) -> MiniHouse:
    """One blocker is in the way."""
    mini = MiniHouse(_make_house(data_dir, _FILES), operations)
    mini.sql("create table analytics.blockers as select 'ann@x.org' as note, range as blocker from range(3)")
    return mini


def make_mill(data_dir: Path) -> House:
    """Tables, views and a merge that are busy for a moment each, and name the build that made them."""
    made = "select range as id, '{{ invocation_id }}' as built_by"
    merged = "{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }} "
    files = {f"models/table_{n}.sql": f"{made} from range({MILL_ROWS})" for n in range(6)}
    files |= {
        f"models/view_{n}.sql": "{{ config(materialized='view') }} " + f"select * from {{{{ ref('table_{n}') }}}}"
        for n in range(3)
    }
    files["models/merged.sql"] = merged + f"{made} from range({MILL_ROWS})"
    return _make_house(data_dir, {**files, "dbt_project.yml": _FILES["dbt_project.yml"]})


def _make_house(data_dir: Path, files: Mapping[str, str]) -> House:
    project_dir = data_dir.parent / "mini"
    for name, content in files.items():
        path = project_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    shutil.copy(REPOSITORY / "dbt_transform" / "profiles.yml", project_dir)
    house = House(data_dir, project_dir)
    with house.warehouse.core(write=True) as connection:
        for name in ("hubspot_companies", "loads"):
            connection.exec_driver_sql(f"create table raw.{name} (id text)")
    return house
