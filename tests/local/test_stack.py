"""The stack as a person meets it: real commands, real processes, and none of them left behind."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from local.settings import LocalSettings
from local.stack import down, logs, status
from local.supervision import Supervision, _value
from shared.errors import TerminalError
from tests.local.conftest import _ROOT, bare_environment, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.processes
_KEYS = ("GTM_INGEST_PORT", "GTM_TRANSFORM_PORT", "GTM_SCORING_PORT", "GTM_REDIS_PORT", "GTM_MODEL_PORT")


@pytest.fixture
def stack(tmp_path):
    """Commands on a data folder of this test's own; what survives is ended afterwards."""
    ports = {key: str(free_port()) for key in _KEYS}
    environment = bare_environment(GTM_DATA_DIR=str(tmp_path / "var"), **ports)
    settings = LocalSettings(GTM_DATA_DIR=tmp_path / "var")
    supervision = Supervision(settings)

    def start(*arguments, **extra):
        command = [sys.executable, "-m", "local.stack", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=_ROOT, env={**environment, **extra}, **pipes)

    def run(*arguments, **extra):
        with start(*arguments, **extra) as process:
            return SimpleNamespace(text=process.communicate(timeout=60)[0], code=process.returncode)

    yield SimpleNamespace(start=start, run=run, settings=settings, supervision=supervision, folder=tmp_path / "var")
    supervision.stop()


def _pid(stack, name):
    states = {state["name"]: state["pid"] for state in stack.supervision.states()}
    return states[name]


def _lives(process):
    """A zombie runs no more: whether it is reaped is up to the machine's init."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _read_until(process, text):
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return "".join(said)
    pytest.fail(f"ended without saying {text!r}: {''.join(said)}")


def test_foreground_stack_is_told_once_and_leaves_nothing_after_ctrl_c(stack, capsys):
    with stack.start("up", "--only", "redis", "sweeper", REDIS_URL="") as foreground:
        said = _read_until(foreground, "Stop it with Ctrl-C")
        assert "redis" in said and "sweeper" in said and "ready after" in said

        again = stack.run("up", "--only", "redis", "sweeper")
        assert again.code == 0 and f"Already running in {stack.folder}" in again.text

        endpoints = json.loads((stack.folder / "local" / "endpoints.json").read_text())
        environment = psutil.Process(_pid(stack, "sweeper")).environ()
        assert environment["REDIS_URL"] == endpoints["redis"] and environment["GTM_ENV"] == "local"
        assert status(stack.settings) == 0 and "sweeper" in capsys.readouterr().out
        assert logs(stack.settings, name="sweeper", follow=False, lines=40) == 0
        assert "sweeper_started" in capsys.readouterr().out

        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(15) == 0
    assert stack.supervision.members() == []
    assert status(stack.settings) == 3


def test_killed_worker_returns_and_down_clears_what_a_killed_supervisor_left(stack, capsys):
    up = stack.run("up", "--detach", "--only", "redis", "ingest-worker")
    assert up.code == 0, up.text

    first = _pid(stack, "ingest-worker")
    pool = psutil.Process(first).children()
    psutil.Process(first).kill()
    wait_for(lambda: _pid(stack, "ingest-worker") not in (0, first))

    supervisor = int((stack.folder / "local" / "supervisord.pid").read_text())
    psutil.Process(supervisor).kill()
    orphans = stack.supervision.members()
    assert any(process.name().startswith("redis") for process in orphans) and len(orphans) >= 2

    assert down(stack.settings) == 0 and "Stopped" in capsys.readouterr().out
    assert stack.supervision.members() == []
    assert not any(_lives(process) for process in [*orphans, *pool])
    assert down(stack.settings) == 0 and "Nothing was running" in capsys.readouterr().out


def test_down_ends_a_detached_stack_in_order_and_nobody_else(stack, capsys):
    assert stack.run("up", "--detach", "--only", "redis").code == 0
    redis = psutil.Process(_pid(stack, "redis"))
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert down(stack.settings) == 0 and "Stopped 2 processes" in capsys.readouterr().out
        assert not _lives(redis) and stranger.poll() is None
    finally:
        stranger.communicate(b"\n")
    assert "User requested shutdown" in (stack.folder / "local" / "logs" / "redis.log").read_text()
    assert not (stack.folder / "local" / "endpoints.json").exists()


def test_failing_process_is_named_with_its_last_words_and_nothing_stays(stack):
    up = stack.run("up", "--detach", "--only", "redis", "sweeper", GTM_LEASE_SECONDS="1")
    assert up.code == 1
    assert "migrations failed" in up.text and "GTM_HEARTBEAT_SECONDS must be" in up.text and ".env.example" in up.text
    assert stack.supervision.members() == []


def test_process_that_keeps_ending_is_noticed_before_the_deadline(stack, tmp_path):
    broken = tmp_path / "bin" / "redis-server"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho it broke here; exit 3\n")
    broken.chmod(0o755)
    up = stack.run("up", "--detach", "--only", "redis", PATH=f"{broken.parent}:/usr/bin:/bin")
    assert up.code == 1
    assert "redis keeps ending. Its last words:" in up.text and "it broke here" in up.text
    assert stack.supervision.members() == []


def test_users_redis_that_is_down_is_said_at_once(stack):
    up = stack.run("up", "--detach", "--only", "sweeper", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert up.code == 1 and "unset REDIS_URL" in up.text


def test_wrong_use_is_said_in_one_line(stack, capsys):
    wrong = stack.run("up", GTM_INGEST_PORT="http")
    assert wrong.code == 2 and wrong.text.startswith("A setting is wrong. GTM_INGEST_PORT=http: Input should be a")
    assert len(wrong.text.splitlines()) == 1 and "pydantic" not in wrong.text
    unknown = stack.run("up", "--only", "reddis")
    assert unknown.code == 1 and "unknown reddis" in unknown.text and "sweeper" in unknown.text
    assert logs(stack.settings, name="nobody", follow=False, lines=1) == 1
    assert "No log of nobody" in capsys.readouterr().err


def test_reader_that_goes_away_is_no_error(stack):
    with stack.start("status") as process:
        process.stdout.close()  # long before it has anything to say
    assert process.returncode == 141


def test_paths_reach_the_supervisor_as_they_are():
    assert _value("/data/50%/it's here") == "/data/50%%/it's here"
    with pytest.raises(TerminalError, match="GTM_DATA_DIR"):
        _value("/data/a ;b")
