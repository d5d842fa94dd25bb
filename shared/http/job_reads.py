"""Polled jobs: read for many callers at once, and answered with `304` where nothing has changed."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass

from fastapi import Response

from shared.http.starting import POLL_SECONDS
from shared.jobs.reading import read_jobs
from shared.jobs.store import is_ended, unknown_job
from shared.operations.database import OperationsDatabase


@dataclass(frozen=True)
class ReadJob:
    """A job as it is answered. `etag` is of its content: two answers with one tag are the same to the byte."""

    content: bytes
    etag: str
    is_ended: bool


class JobReads:
    """Whoever asks while a look is under way shares the next one, so an answer is never older than its question, and a
    thousand callers cost the operations database no more than one after the other.
    """

    def __init__(self, database: OperationsDatabase) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-reads")
        self._asked: dict[str, list[asyncio.Future[ReadJob | None]]] = defaultdict(list)
        self._looking: asyncio.Task[None] | None = None

    async def get(self, job_id: str) -> ReadJob:
        """Raises NotFound for an id that was never accepted, ValueError for a job that can't be read."""
        answer: asyncio.Future[ReadJob | None] = asyncio.get_running_loop().create_future()
        self._asked[job_id].append(answer)
        if self._looking is None:
            # In nobody's context: its lines are of all who ask, not of the first one's request.
            self._looking = asyncio.create_task(self._look(), context=Context())
        job = await answer
        if job is None:
            raise unknown_job(job_id)
        return job

    def close(self) -> None:
        """Nobody asks any more."""
        self._thread.shutdown(wait=True)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._asked:
                asked, self._asked = self._asked, defaultdict(list)
                try:
                    found = await loop.run_in_executor(self._thread, self._read, list(asked))
                except Exception as error:  # each caller's own to answer
                    _tell(asked, error)
                else:
                    for job_id, answers in asked.items():
                        _answer(answers, found.get(job_id))
        finally:
            self._looking = None

    def _read(self, job_ids: Sequence[str]) -> dict[str, ReadJob | ValueError]:
        found: dict[str, ReadJob | ValueError] = {}
        for job_id, view in read_jobs(self._database, job_ids).items():
            if isinstance(view, ValueError):
                found[job_id] = view
                continue
            content = view.model_dump_json().encode()
            etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
            found[job_id] = ReadJob(content, etag, is_ended(view))
        return found


def _tell(asked: dict[str, list[asyncio.Future[ReadJob | None]]], error: Exception) -> None:
    for answers in asked.values():
        _answer(answers, error)


def _answer(answers: list[asyncio.Future[ReadJob | None]], found: ReadJob | Exception | None) -> None:
    for answer in answers:
        if answer.done():  # its caller has gone
            continue
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)


def to_job_response(job: ReadJob, if_none_match: str | None) -> Response:
    """200, or 304 where the caller has this very state (RFC 9110, 13.1.2: compared weakly)."""
    headers = {"ETag": job.etag, "Cache-Control": "no-cache"}
    if not job.is_ended:
        headers["Retry-After"] = str(POLL_SECONDS)
    if if_none_match is not None and _matches(if_none_match, job.etag):
        return Response(status_code=304, headers=headers)
    return Response(job.content, headers=headers, media_type="application/json")


def _matches(if_none_match: str, etag: str) -> bool:
    given = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return "*" in given or etag in given
