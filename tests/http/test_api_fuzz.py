"""A moment of `make api-fuzz`: what schemathesis always tries, on the service with the most operations."""

from pathlib import Path

import pytest

from tests.http.api_fuzz import fuzz

pytestmark = pytest.mark.processes


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    done = fuzz("transform", tmp_path, phases="examples,coverage", examples=2)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "startBuild" in done.stdout or "test cases" in done.stdout.lower(), "it has tried something"
