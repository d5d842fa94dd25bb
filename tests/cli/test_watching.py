import io
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import httpx
import pytest
from rich.console import Console

from cli.client import GtmClient, Polled
from cli.errors import ServiceUnreachable
from cli.models import Job
from cli.progress import BarView, LineView, job_view
from cli.settings import SERVICES, Endpoint
from cli.transport import wait_seconds
from cli.watch import WatchingStopped, follow
from shared.contracts import BuildRequest, PipelineRequest, SyncRequest
from tests.cli.server import Behaviour, Server, build_app

Connect = Callable[[str], GtmClient]


@pytest.fixture
def connect_to() -> Iterator[Connect]:
    opened: list[GtmClient] = []

    def connect(url: str) -> GtmClient:
        endpoints = {service: Endpoint(url, "test") for service in SERVICES}
        opened.append(GtmClient(endpoints, retry_waits=()))
        return opened[-1]

    yield connect
    for client in opened:
        client.__exit__(None, None, None)


def _bars() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=120, color_system=None), written


def test_a_terminal_gets_a_bar_for_every_part(server: Server, connect_to: Connect) -> None:
    client = connect_to(server.url)
    console, written = _bars()
    polled = client.start(PipelineRequest(sync=SyncRequest(source="mock")))

    job = follow(client, polled, job_view(console))

    assert job.state == "succeeded"
    assert "50/100 rows" in written.getvalue()
    last = written.getvalue().rsplit("sync", 1)[1]
    assert last.count("succeeded") == 3 and "rows" not in last


def test_a_file_gets_a_line_per_change(server: Server, connect_to: Connect) -> None:
    client = connect_to(server.url)
    written = io.StringIO()
    polled = client.start(BuildRequest())

    follow(client, polled, job_view(Console(file=written, width=120)))

    lines = [line.split() for line in written.getvalue().splitlines()]
    assert [line[1] for line in lines] == ["queued", "running", "succeeded"]


def test_the_same_look_twice_is_one_line() -> None:
    written = io.StringIO()
    view = LineView(Console(file=written))
    job = Job(id="1", kind="sync", state="running")  # type: ignore[arg-type]  # as JSON has it

    view.show(job)
    view.show(job)

    assert len(written.getvalue().splitlines()) == 1


@pytest.mark.parametrize("progress", [None, {"phase": None, "done": None, "total": None}, {"done": 3, "total": 0}])
def test_bars_take_any_progress(progress: object) -> None:
    console, written = _bars()
    job = Job.model_validate({"id": "1", "kind": "sync", "state": "running", "progress": progress})

    with BarView(console) as view:
        view.show(job)

    assert "running" in written.getvalue()


def test_ctrl_c_leaves_the_job_running(behaviour: Behaviour, server: Server, connect_to: Connect) -> None:
    client = connect_to(server.url)
    polled = client.start(BuildRequest())

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(WatchingStopped) as stopped:
        follow(client, polled, LineView(Console(file=io.StringIO())), sleep=interrupt)

    assert stopped.value.job.id == "build-1"
    assert behaviour.jobs["build-1"]["state"] == "queued"


def test_a_real_ctrl_c_says_how_to_come_back(behaviour: Behaviour, server: Server) -> None:
    behaviour.never_ends = True
    env = os.environ | {f"GTM_{service.upper()}_URL": server.url for service in SERVICES}
    command = [sys.executable, "-c", "from cli.main import app; app()", "build", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "running" in line:
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)

    assert process.returncode == 130, "".join(said) + stderr
    assert "gtm jobs build-1 --watch" in stderr and "gtm jobs cancel build-1" in stderr
    assert '"state": "running"' in stdout
    assert behaviour.jobs["build-1"]["state"] == "running"


def test_a_service_that_is_away_for_a_while_is_waited_for(behaviour: Behaviour, connect_to: Connect) -> None:
    with Server(build_app(behaviour)) as first:
        client = connect_to(first.url)
        polled = client.start(BuildRequest())
        port = int(first.url.rsplit(":", 1)[1])
    again: list[Server] = []

    def come_back(_seconds: float) -> None:
        """The second look finds the service restarted on its port."""
        behaviour.looks += 1
        if behaviour.looks == 2:
            again.append(Server(build_app(behaviour), port=port).__enter__())

    try:
        job = follow(client, polled, LineView(Console(file=io.StringIO())), sleep=come_back)
    finally:
        for server in again:
            server.__exit__()

    assert job.state == "succeeded"


def test_a_service_that_stays_away_ends_the_watch_not_the_job(behaviour: Behaviour, connect_to: Connect) -> None:
    with Server(build_app(behaviour)) as server:
        client = connect_to(server.url)
        polled = client.start(BuildRequest())

    with pytest.raises(ServiceUnreachable, match="does not answer"):
        try:
            follow(client, polled, LineView(Console(file=io.StringIO())), patience_seconds=0)
        except ServiceUnreachable as error:
            assert "gtm jobs build-1 --watch" in (error.problem.detail or "")
            raise


def test_patience_begins_anew_with_every_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    running, ended = (
        Job.model_validate({"id": "1", "kind": "sync", "state": state}) for state in ("running", "failed")
    )
    away = ServiceUnreachable("ingest", "http://127.0.0.1:1", "connection refused")
    looks: Iterator[Job | ServiceUnreachable] = iter([away, running, away, ended])
    clock = itertools.count(start=100, step=20)
    monkeypatch.setattr("cli.watch.time", SimpleNamespace(monotonic=lambda: next(clock)))

    class Client:
        def look_again(self, _polled: Polled) -> Polled:
            look = next(looks)
            if isinstance(look, ServiceUnreachable):
                raise look
            return Polled(look, 0)

    job = follow(Client(), Polled(running, 0), LineView(Console(file=io.StringIO())))  # type: ignore[arg-type]

    assert job is ended


def test_retry_after_is_honoured() -> None:
    def wait(value: str | None) -> float:
        return wait_seconds(httpx.Response(200, headers={} if value is None else {"Retry-After": value}))

    in_ten_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    assert wait(None) == 0.5
    assert wait("2") == 2
    assert wait("0") == 0.05
    assert wait("86400") == 30
    assert 5 < wait(in_ten_seconds) <= 10
    assert wait("soon") == 0.5
