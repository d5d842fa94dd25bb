"""Everything that one laptop needs, under one supervisor: `python -m local.stack up | down | status | logs`.

`up` stays in the foreground until Ctrl-C, or returns at once with `--detach`. One data folder has one stack; `down`
ends exactly the processes of that stack, whoever started it and whatever has become of its supervisor.
"""

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from local.endpoints import Endpoints, choose_endpoints, read_endpoints, write_endpoints
from local.processes import Process, build_processes, child_environment
from local.settings import LocalSettings
from local.startup import StartFailed, start_in_order, tail
from local.supervision import STACK_ID, Supervision
from shared.errors import GtmError
from shared.settings import explain_wrong_settings

_NOT_RUNNING = 3  # as `systemctl status`
_INTERRUPTED = 130
_READER_GONE = 141
_FOLLOW_SECONDS = 0.3


def up(settings: LocalSettings, *, detach: bool, only: list[str]) -> int:
    """Start what isn't running. `only` names processes; empty is all of them. Repeating it changes nothing."""
    supervision = Supervision(settings)
    with _one_at_a_time(settings):
        if supervision.states():
            _say(f"Already running in {settings.data_dir.resolve()}.")
            _say_where(supervision, read_endpoints(settings.local_dir / "endpoints.json"))
            return 0
        left = supervision.stop()
        if left:
            _say(f"Ended {left} processes that an earlier stack had left behind.")
        try:
            endpoints = _start(settings, supervision, only)
        except StartFailed as error:
            supervision.stop()
            _say(f"\nThe stack did not start; everything is stopped again.\n{error}", sys.stderr)
            return 1
        except BaseException:
            supervision.stop()
            raise
    _say_where(supervision, endpoints)
    if detach:
        _say("Stop it with `make down`.")
        return 0
    _say("Stop it with Ctrl-C.")
    return _stay(supervision)


def _start(settings: LocalSettings, supervision: Supervision, only: list[str]) -> Endpoints:
    _say(f"Starting Fleet GTM in {settings.data_dir.resolve()}")
    endpoints = choose_endpoints(settings, _say)
    processes = _chosen(build_processes(settings, endpoints, time.time()), only)
    marks = {**child_environment(settings, endpoints), STACK_ID: supervision.stack_id}
    environment = {**os.environ, **marks}
    write_endpoints(settings.local_dir / "endpoints.json", endpoints)
    start_in_order(supervision, processes, endpoints, environment, settings.start_timeout_seconds, _say)
    return endpoints


def _chosen(processes: list[Process], only: list[str]) -> list[Process]:
    known = {process.name for process in processes}
    unknown = set(only) - known
    if unknown:
        raise SystemExit(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return [process for process in processes if not only or process.name in only]


def _stay(supervision: Supervision) -> int:
    """Until Ctrl-C, or until somebody else says `down`."""
    try:
        while supervision.states():
            time.sleep(_FOLLOW_SECONDS)
        _say("The stack was stopped from elsewhere.")
    except KeyboardInterrupt:
        _say("\nStopping…")
    finally:  # also when nobody reads on, and saying so has failed
        supervision.stop()
    return 0


def down(settings: LocalSettings) -> int:
    """End this data folder's stack, also one whose supervisor was killed."""
    count = Supervision(settings).stop()
    (settings.local_dir / "endpoints.json").unlink(missing_ok=True)
    _say(f"Stopped {count} processes." if count else f"Nothing was running in {settings.data_dir.resolve()}.")
    return 0


def status(settings: LocalSettings) -> int:
    """One line per process. Exit 0 when all run, 3 when there is no stack, 1 in between."""
    supervision = Supervision(settings)
    states = supervision.states()
    if not states:
        _say(f"Nothing is running in {settings.data_dir.resolve()}.")
        return _NOT_RUNNING
    for state in states:
        _say(f"  {state['name']:<28} {state['statename']:<10} {state['description']}")
    _say_where(supervision, read_endpoints(settings.local_dir / "endpoints.json"))
    return 0 if all(state["statename"] in {"STARTING", "RUNNING"} for state in states) else 1


def logs(settings: LocalSettings, *, name: str | None, follow: bool, lines: int) -> int:
    """The last lines of one log or of all, then what comes."""
    folder = settings.local_dir / "logs"
    paths = sorted(folder.glob("*.log"))
    if name is not None:
        paths = [path for path in paths if path.stem == name]
    if not paths:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none yet"
        _say(f"No log of {name or 'any process'} in {folder}; there are: {there}", sys.stderr)
        return 1
    for path in paths:
        for line in tail(path, lines):
            _say(_prefixed(path, line, len(paths)))
    if follow:
        _follow(paths)
    return 0


def _follow(paths: list[Path]) -> None:
    read = {path: path.stat().st_size for path in paths}
    while True:
        for path in paths:
            size = path.stat().st_size if path.exists() else 0
            begin = read[path] if size >= read[path] else 0  # a smaller file was rotated
            if size > begin:
                with path.open("rb") as file:
                    file.seek(begin)
                    whole = file.read(size - begin)
                for line in whole.decode(errors="replace").splitlines():
                    _say(_prefixed(path, line, len(paths)))
            read[path] = size
        time.sleep(_FOLLOW_SECONDS)


def _prefixed(path: Path, line: str, count: int) -> str:
    return line if count == 1 else f"{path.stem:<28} | {line}"


def _say_where(supervision: Supervision, endpoints: Endpoints | None) -> None:
    if endpoints is None:
        return
    running = {state["name"] for state in supervision.states()}
    for service in ("ingest", "transform", "scoring"):
        if f"{service}-api" in running:
            _say(f"  {service:<10} {getattr(endpoints, service)}/docs")
    if endpoints.snowflake:
        _say(f"  snowflake  {endpoints.snowflake} (a stand-in that speaks its protocol)")
    _say(f"  model      {endpoints.ollama} ({endpoints.ollama_model})")
    _say(f"  logs       {endpoints.logs}")


def _say(text: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:  # `status | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(_READER_GONE) from None


@contextmanager
def _one_at_a_time(settings: LocalSettings) -> Iterator[None]:
    """Two `up` at once: the second waits, and then finds a running stack. A killed `up` leaves no lock behind."""
    settings.local_dir.mkdir(parents=True, exist_ok=True)
    with (settings.local_dir / "up.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and wait until it is ready")
    start.add_argument("--detach", action="store_true", help="return as soon as it is ready")
    start.add_argument("--only", nargs="+", default=[], metavar="PROCESS", help="start these processes alone")
    commands.add_parser("down", help="end every process of this data folder's stack")
    commands.add_parser("status", help="one line per process")
    show = commands.add_parser("logs", help="what the processes wrote")
    show.add_argument("process", nargs="?")
    show.add_argument("-f", "--follow", action="store_true")
    show.add_argument("-n", "--lines", type=int, default=40)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 failed, 2 wrong use, 3 not running, 130 interrupted, 141 nobody reads its output."""
    chosen = _parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        settings = LocalSettings()
        if chosen.command == "up":
            return up(settings, detach=chosen.detach, only=chosen.only)
        if chosen.command == "down":
            return down(settings)
        if chosen.command == "status":
            return status(settings)
        return logs(settings, name=chosen.process, follow=chosen.follow, lines=chosen.lines)
    except GtmError as error:
        _say(f"{error.title}: {error.detail}", sys.stderr)
        return 1
    except ValidationError as error:
        _say(f"A setting is wrong. {'; '.join(explain_wrong_settings(error))}", sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
