"""What callers are told while the operations database is away, and of rows that can't be read."""

import asyncio
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from shared.contracts import JobKind
from shared.http.job_reads import JobReads, ReadJob
from shared.http.problems import install_problem_handlers
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from shared.operations.models import Job
from shared.operations.outages import OUTAGES

AWAY = (
    sa.exc.OperationalError("commit", {}, Exception("the connection was given up")),
    sa.exc.InterfaceError("commit", {}, Exception("the connection is closed")),
    sa.exc.TimeoutError("no connection is free"),
)


@pytest.mark.parametrize("error", AWAY, ids=[type(error).__name__ for error in AWAY])
def test_whose_commit_was_not_answered_is_not_told_that_nothing_was_accepted(error: Exception) -> None:
    app = FastAPI()
    install_problem_handlers(app)

    @app.api_route("/v1/builds", methods=["GET", "POST"])
    def fail() -> None:
        raise error

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(method, "/v1/builds") for method in ("POST", "GET")]

    told, read = asyncio.run(ask())
    assert (told.status_code, told.json()["code"]) == (503, "operations-unavailable")
    assert "may have been accepted" in told.json()["detail"] and "Idempotency-Key" in told.json()["detail"]
    assert read.status_code == 503 and "accepted" not in read.json()["detail"]
    assert {type(known) for known in AWAY} == set(OUTAGES)


def test_a_job_of_a_later_release_is_no_trouble_to_who_asks_for_another(tmp_path: Path) -> None:
    migrate(url := f"sqlite:///{tmp_path / 'o.sqlite3'}")
    database = OperationsDatabase(url)
    known, strange = (JobStore(database).start(JobKind.BUILD, {}).job.id for _ in range(2))
    with database.write() as session:
        session.execute(sa.update(Job).where(Job.id == strange).values(kind="of-next-year"))

    async def ask() -> list[ReadJob | BaseException]:
        reads = JobReads(database)
        answers = await asyncio.gather(*map(reads.get, (strange, known)), return_exceptions=True)
        reads.close()
        return answers

    failed, read = asyncio.run(ask())
    database.dispose()
    assert isinstance(failed, ValueError) and isinstance(read, ReadJob)
