"""supervisord for one stack: its generated configuration, its socket, and every process that bears the stack's mark.

Why supervisord: docs/adr/0006-supervisor.md.
"""

import hashlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client  # nosec B411: speaks to nobody but our own supervisord, over a socket that is ours alone
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import psutil

from local.processes import Process, redis_dir
from local.settings import LocalSettings
from shared.errors import TerminalError

STACK_ID = "GTM_STACK_ID"
_LOG_BYTES = "10MB"
# What ends sooner is started again after 1, 2, 3... seconds; what ran longer (a killed worker) at once.
_START_SECONDS = "5"
_LONGEST_SOCKET_PATH = 100  # the system's limit is 104 to 108 bytes
_RPC_SECONDS = 5
_STOP_SECONDS = 14  # a worker's 8, then Redis's 5, and a second's slack
_TERMINATE_SECONDS = 2


class Supervision:
    """The stack of one data folder. Nothing here depends on who started it: another process may stop it."""

    def __init__(self, settings: LocalSettings) -> None:
        self.folder = settings.local_dir
        self.logs = self.folder / "logs"
        self._redis_dir = str(redis_dir(settings))
        self._config = self.folder / "supervisord.conf"
        self._pid_file = self.folder / "supervisord.pid"
        self.stack_id = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]

    def start(self, processes: Iterable[Process], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start supervisord and the `base` group. Its own words go to logs/supervisord.log."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._config.write_text(self.to_config(processes))
        with (self.logs / "supervisord.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self._config)],
                env={**os.environ, **environment, STACK_ID: self.stack_id},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C reaches `up`, which stops the stack in order
            )

    def start_services(self) -> None:
        """Start what isn't in the `base` group."""
        with self._rpc() as proxy:
            proxy.supervisor.startProcessGroup("services", False)

    def states(self) -> list[dict[str, Any]]:
        """supervisord's view of each process; empty where it doesn't answer."""
        try:
            with self._rpc() as proxy:
                return cast(list[dict[str, Any]], proxy.supervisor.getAllProcessInfo())
        except (OSError, http.client.HTTPException, xmlrpc.client.Fault):
            return []

    def members(self) -> list[psutil.Process]:
        """Every living process of this stack, also one that has lost its supervisor."""
        ourselves = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        return [process for process in psutil.process_iter() if process.pid not in ourselves and self._is_ours(process)]

    def stop(self) -> int:
        """End the whole stack, in order where its supervisor lives. Returns how many processes there were."""
        found = self.members()
        supervisor = next((process for process in found if process.pid == self._recorded_pid()), None)
        try:
            if supervisor is not None:
                supervisor.terminate()
                _wait_gone([supervisor], _STOP_SECONDS)
        except psutil.NoSuchProcess:
            pass  # somebody else was quicker
        finally:
            if supervisor is not None:
                _kill([supervisor])  # before its children, or it would start them again
            self._end_leftovers()
            for path in (self._pid_file, self._socket):
                path.unlink(missing_ok=True)
        return len(found)

    @property
    def _socket(self) -> Path:
        path = self.folder / "supervisord.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        return Path(tempfile.gettempdir()) / f"gtm-{self.stack_id}.sock"

    def _recorded_pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(STACK_ID) == self.stack_id:
                return True
            return process.name().startswith("redis-server") and process.cwd() == self._redis_dir
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            return False  # gone, or another user's

    def _end_leftovers(self) -> None:
        leftovers = self.members()
        for process in leftovers:
            try:
                process.terminate()
            except psutil.NoSuchProcess:
                continue
        _wait_gone(leftovers, _TERMINATE_SECONDS)
        while leftovers := self.members():
            _kill(leftovers)

    def _rpc(self) -> xmlrpc.client.ServerProxy:
        return xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(self._socket))

    def to_config(self, processes: Iterable[Process]) -> str:
        """supervisord's ini file. No secrets: settings reach the processes through the environment."""
        listed = list(processes)
        sections = [
            ("unix_http_server", {"file": _value(str(self._socket)), "chmod": "0700"}),
            (
                "supervisord",
                {
                    "pidfile": _value(str(self._pid_file)),
                    "logfile": "/dev/null",  # its words go to stdout, which `start` sends to the log folder
                    "logfile_maxbytes": "0",
                    "loglevel": "info",
                    **({"user": "root"} if os.geteuid() == 0 else {}),  # in a container; else it complains
                },
            ),
            (
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
        ]
        sections.append(("supervisorctl", {"serverurl": f"unix://{_value(str(self._socket))}"}))
        sections += [(f"program:{process.name}", self._program(process)) for process in listed]
        for group, priority in (("base", "10"), ("services", "20")):  # stopped in the reverse order
            names = [process.name for process in listed if process.group == group]
            if names:
                sections.append((f"group:{group}", {"programs": ",".join(names), "priority": priority}))
        return "\n".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
            for section, values in sections
        )

    def _program(self, process: Process) -> dict[str, str]:
        values = {
            "command": _value(shlex.join(process.command)),
            "directory": _value(os.getcwd()),
            "autostart": "true" if process.group == "base" else "false",
            "autorestart": "true",
            "startsecs": _START_SECONDS,
            "startretries": "1000",
            "stopwaitsecs": str(process.stop_seconds),
            "stopasgroup": "true" if process.stop_signals_children else "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _value(str(self.logs / f"{process.name}.log")),
            "stdout_logfile_maxbytes": _LOG_BYTES,
            "stdout_logfile_backups": "1",
        }
        if process.environment:
            values["environment"] = ",".join(f'{key}="{value}"' for key, value in process.environment.items())
        return values


def _value(text: str) -> str:
    """Escaped for supervisord's ini file; raises TerminalError for what it can't carry."""
    if "\n" in text or " ;" in text or " #" in text:
        raise TerminalError(
            f"{text!r}: a path may not hold a line break, ' ;' or ' #'. Choose another GTM_DATA_DIR.",
            code="path-not-supported",
            title="supervisord can't carry this path",
        )
    return text.replace("%", "%%")


def _wait_gone(processes: list[psutil.Process], seconds: float) -> None:
    """Zombies count as gone: their parent has yet to look, but they run no more."""
    deadline = time.monotonic() + seconds
    while any(_lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _wait_gone(processes, _TERMINATE_SECONDS)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # where the base class looks when it closes
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("supervisor", timeout=_RPC_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_RPC_SECONDS)
        self.sock.connect(str(self._path))
