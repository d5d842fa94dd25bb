"""Nothing is lost between RAW and the marts: rows by table, cents by month and model, ARR by account."""

import subprocess
import sys

import pytest

from tests.dbt.conservation import EXPORT_CASES, EXPORTS, MOCK_CASES
from tests.transform.builds import REPOSITORY


def test_rows_and_cents_are_conserved_however_dirty_the_source() -> None:
    lines = _conserve([case.name for case in MOCK_CASES])
    quarantined = [int(line.split()[9]) for line in lines if line.startswith("  all tables")]
    assert quarantined[0] == 0 < quarantined[1] < quarantined[2]
    won = [line for line in lines if line.startswith("  won: ")]
    assert len(won) == 3 and all(line.endswith("= attributed by each of 7 models") for line in won)


@pytest.mark.shared_data
@pytest.mark.skipif(not EXPORTS.is_dir(), reason="third-party exports are not beside this checkout (../shared/data)")
def test_rows_and_cents_of_real_exports_are_conserved() -> None:
    assert len(_conserve([EXPORT_CASES[0].name])) > 15


def _conserve(cases: list[str]) -> list[str]:
    command = [sys.executable, "-m", "tests.dbt.conservation", *cases]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=170)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout.splitlines()
