"""The job protocol is held to its promises on both databases: SQLite, and a real PostgreSQL from a wheel."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.jobs.leases import Leases
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from shared.settings import OperationsSettings
from tests.postgres_server import PostgresServer

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """With the migrated database `migrated`."""
    with PostgresServer() as server:
        server.run(f"create database {TEMPLATE}")
        migrate(server.url + TEMPLATE)
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """Of that server; it lacks the database's name."""
    return postgres_server.url


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


@pytest.fixture
def store(operations: OperationsDatabase) -> JobStore:
    """The APIs' side of the job table."""
    return JobStore(operations)


@pytest.fixture
def leases(operations: OperationsDatabase) -> Leases:
    """The workers' side of the job table."""
    return Leases(operations, OperationsSettings())
