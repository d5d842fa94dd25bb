"""The strategy `replace_keys` by dbt-snowflake itself, over Snowflake's protocol: what it does, and what a statement
that fails leaves behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from shared.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.emulator import SnowflakeEmulator, slow

pytestmark = slow
Row = tuple[int, int | None, str | None]

_PROJECT: Final = {
    "dbt_project.yml": """
name: mini
profile: fleet_gtm
flags: {send_anonymous_usage_stats: false}
quoting: {database: false, schema: false, identifier: false}
models: {+transient: true, +materialized: table}
""",
    "models/a_money.sql": """
{{ config(materialized="incremental", incremental_strategy="replace_keys", unique_key="opportunity") }}
{% for opportunity, amount, run in var("rows") %}
select {{ opportunity }} as opportunity, cast({{ amount }} as integer) as amount,
    cast({{ run }} as varchar) as dbt_run_id
{{ "union all" if not loop.last }}{% endfor %}
""",
    "models/b_other.sql": "-- on the thread, and so in the session, of the model that failed\nselect 1 as one",
}


class MiniProject:
    """Two models, one thread, the real project's macro and profile."""

    def __init__(self, folder: Path, warehouse: Warehouse) -> None:
        self._folder, self._warehouse = folder, warehouse
        for name, text in _PROJECT.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        (folder / "macros").mkdir()
        shutil.copy(REPOSITORY / "dbt_transform" / "macros" / "incremental" / "replace_keys.sql", folder / "macros")
        shutil.copy(REPOSITORY / "dbt_transform" / "profiles.yml", folder)
        with warehouse.core(write=True) as connection:
            connection.exec_driver_sql("create schema if not exists analytics")

    def run(self, *rows: Row) -> subprocess.CompletedProcess[str]:
        """Each row: opportunity, amount, and the run; a tombstone has none."""
        told = [["null" if value is None else repr(value) for value in row] for row in rows]
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "run", "--target", "snowflake"]
        command += ["--profiles-dir", ".", "--vars", json.dumps({"rows": told})]
        with self._warehouse.reserve_core() as environment:
            named = {**os.environ, **environment, "GTM_DBT_THREADS": "1", "DO_NOT_TRACK": "1"}
            return subprocess.run(command, cwd=self._folder, env=named, capture_output=True, text=True, timeout=150)

    def rows(self) -> list[Sequence[int]]:
        with self._warehouse.core() as connection:
            query = "select opportunity, amount from analytics.a_money order by 1, 2"
            return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.fixture
def project(tmp_path: Path, snowflake: Warehouse) -> MiniProject:
    return MiniProject(tmp_path, snowflake)


def test_rows_of_a_key_are_replaced_or_stay_as_they_were(project: MiniProject, emulator: SnowflakeEmulator) -> None:
    first = project.run((1, 100, "a"), (1, 101, "a"), (2, 200, "a"), (3, 300, "a"))
    assert first.returncode == 0, first.stdout
    before = [(1, 100), (1, 101), (2, 200), (3, 300)]
    assert project.rows() == before
    # Whichever statement it is that fails, the next node's DDL commits what its session has open.
    emulator.fail(at="statement", match=r"(^|\*/)\s*(insert into|merge into)\s\S*a_money\b", code="000630")
    failed = project.run((1, 110, "b"), (2, None, None), (4, 400, "b"))
    assert failed.returncode == 1 and "OK created sql table model analytics.b_other" in failed.stdout, failed.stdout
    assert project.rows() == before
    done = project.run((1, 110, "b"), (2, None, None), (4, 400, "b"), (4, 401, "b"))
    assert done.returncode == 0, done.stdout
    assert project.rows() == [(1, 110), (3, 300), (4, 400), (4, 401)]
