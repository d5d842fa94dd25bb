"""Nothing is lost between RAW and the marts: rows by table, cents by month and model, ARR by account."""

import subprocess
import sys

import pytest

from tests.dbt.conservation import MOCK_CASES
from tests.transform.builds import REPOSITORY


@pytest.mark.long
def test_rows_and_cents_are_conserved_though_the_source_is_dirty() -> None:
    """One degree of dirt; `make conservation` has clean and filthy sources and real exports, too."""
    lines = _conserve([MOCK_CASES[1].name])
    assert [int(line.split()[9]) for line in lines if line.startswith("  all tables")] > [0]
    won = [line for line in lines if line.startswith("  won: ")]
    assert len(won) == 1 and won[0].endswith("= attributed by each of 7 models")


def _conserve(cases: list[str]) -> list[str]:
    command = [sys.executable, "-m", "tests.dbt.conservation", *cases]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=540)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout.splitlines()
