import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.demo import main
from tests.cli.server import Behaviour, Server

FAKE_STACK = (sys.executable, str(Path(__file__).with_name("fake_stack.py")))

pytestmark = pytest.mark.usefixtures("clean_env", "stack_env", "cleared_settings")


@pytest.fixture
def stack_env(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STACK_URL", server.url)


@pytest.fixture
def cleared_settings() -> Iterator[None]:
    """The demo looks at the warehouse's settings, and takes over signals as a program of its own does."""
    from shared.settings import warehouse_settings

    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    warehouse_settings.cache_clear()
    yield
    warehouse_settings.cache_clear()
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.fixture
def stack_calls(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "data" / "local" / "calls").read_text().split()


def test_the_demo_shows_leads_counts_and_where_to_look(
    behaviour: Behaviour,
    two_leads: list[dict[str, Any]],
    stack_calls: Callable[[], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(FAKE_STACK)

    out = capsys.readouterr().out
    assert status == 0
    assert behaviour.starts[0]["body"]["sync"]["options"] == {"accounts": 500, "visits": 20_000}
    assert behaviour.starts[0]["body"]["scoring"]["limit"] == 20
    assert max(map(len, out.split("About the model")[0].splitlines())) <= 140
    for shown in (
        "Müller Transport",
        "+18 a fleet of 400 vehicles",
        "(template)",
        "inserted 25,000, updated 200, unchanged 300, duplicates 200, rejected 0 (of 25,700 rows read)",
        "13 rows",
        "15, refreshed 1, unchanged 4 (of 20 prospects)",
        "27 calls, 12 answers rejected by the checks, 9 template pitches",
        "does not score well",
        "/docs  (scoring)",
        "make up",
        "gtm leads",
    ):
        assert shown in out
    assert "\x1b" not in out
    assert stack_calls() == ["status", "up", "down"]


def test_a_running_stack_is_used_and_left_alone(stack_calls: Callable[[], list[str]]) -> None:
    subprocess.run([*FAKE_STACK, "up"], check=True)

    assert main(FAKE_STACK) == 0
    assert stack_calls() == ["up", "status"]


def test_a_failed_pipeline_ends_with_1_its_detail_and_a_stopped_stack(
    behaviour: Behaviour, stack_calls: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour.fails = "build"

    assert main(FAKE_STACK) == 1
    assert "3 rows with negative ARR" in capsys.readouterr().err
    assert stack_calls()[-1] == "down"


@pytest.mark.parametrize("behaviour", ["fails", "wrong use"])
def test_a_stack_that_does_not_start_ends_with_3(
    behaviour: str,
    stack_calls: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FAKE_STACK", behaviour)

    assert main(FAKE_STACK) == 3
    assert "The local stack did not start" in capsys.readouterr().err
    assert stack_calls() == ["status", "up", "down"]


def test_the_demo_keeps_out_of_a_real_warehouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTM_WAREHOUSE", "snowflake")

    assert main(FAKE_STACK) == 2
    assert "GTM_WAREHOUSE=duckdb" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_wrong_setting_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTM_WAREHOUSE", "bigquery")

    assert main(FAKE_STACK) == 2
    said = capsys.readouterr().err
    assert "GTM_WAREHOUSE=bigquery: Input should be 'duckdb' or 'snowflake'" in said and "pydantic" not in said


def test_the_demo_does_not_follow_a_url_to_elsewhere(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_INGEST_URL", nowhere)

    assert main(FAKE_STACK) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_job_runs_cancels_it_and_stops_the_stack(
    behaviour: Behaviour, stack_calls: Callable[[], list[str]], number: signal.Signals
) -> None:
    behaviour.never_ends = True
    with _demo() as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "running" in line:
                break
        process.send_signal(number)
        process.communicate(timeout=30)

    assert process.returncode == 130
    assert behaviour.cancels == ["pipeline-1"]
    assert stack_calls() == ["status", "up", "down"]


def test_ctrl_c_while_the_stack_starts_stops_it(
    tmp_path: Path, stack_calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STACK", "hangs")
    with _demo() as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "data/local/calls").exists() or "up" not in stack_calls():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.communicate(timeout=30)

    assert process.returncode == 130
    assert stack_calls() == ["status", "up", "down"], "the stack puts away what it began; Ctrl-C does not reach it"


def _demo() -> "subprocess.Popen[str]":
    code = f"import sys; from cli.demo import main; sys.exit(main({FAKE_STACK!r}))"
    root = str(Path(__file__).parents[2])
    env = os.environ | {"PYTHONPATH": root}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
