"""Incremental builds equal full refreshes, whatever happens in the sources; `make sequences` runs more of them."""

import subprocess
import sys

import pytest

from tests.transform.builds import REPOSITORY


@pytest.mark.long
def test_incremental_tables_equal_a_full_refresh_after_random_loads() -> None:
    command = [sys.executable, "-m", "tests.dbt.load_sequences", "--count", "1", "--days", "2"]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=540)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.count(" equal (") == 1
