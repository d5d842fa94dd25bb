"""PostgreSQL that is silent or frozen, and clients that stand still while they hold its locks."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from shared.access.audit import AuditEvent, append_entry, verify_chain
from shared.access.callers import COMMAND_LINE, Caller
from shared.access.key_ring import KeyRing
from shared.access.key_store import KeyStore, StoredKey
from shared.access.keys import mint_key
from shared.access.refusals import Unauthorised
from shared.contracts import JobKind
from shared.errors import GtmError, TransientError
from shared.jobs.store import JobStore
from shared.operations.database import REQUEST_PATIENCE, WORKER_PATIENCE, OperationsDatabase
from shared.operations.outages import OUTAGES
from tests.conftest import wait_until
from tests.postgres_server import PostgresServer
from tests.shared.conftest import run_sql

ANSWERED_SECONDS = 3.0
BODY = {"limit": 1}


@pytest.fixture(scope="module")
def url(postgres_url: str) -> str:
    run_sql(postgres_url, "create database silent template migrated")
    return postgres_url + "silent"


@pytest.fixture
def database(url: str) -> Iterator[OperationsDatabase]:
    opened = OperationsDatabase(url, patience=REQUEST_PATIENCE)
    yield opened
    opened.dispose()


@pytest.fixture
def frozen(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """Not yet: the test says when."""
    yield postgres_server
    postgres_server.thaw()


def seconds_of(call: Callable[[], object]) -> float:
    """Until it failed as an outage."""
    started = time.monotonic()
    with pytest.raises(OUTAGES):
        call()
    return time.monotonic() - started


def look_ups(ring: KeyRing, texts: list[str]) -> list[tuple[float, str]]:
    """Of each the seconds, and the error's code; all at once."""

    async def one(text: str) -> tuple[float, str]:
        started = time.monotonic()
        with pytest.raises((TransientError, Unauthorised)) as refused:
            await ring.identify(text, None)
        return time.monotonic() - started, refused.value.code

    async def everyone() -> list[tuple[float, str]]:
        return await asyncio.gather(*map(one, texts))

    return asyncio.run(everyone())


def test_a_client_that_stands_still_with_the_chain_locked_is_ended(url: str, database: OperationsDatabase) -> None:
    frozen = OperationsDatabase(url, patience=replace(REQUEST_PATIENCE, idle=0.5))
    with pytest.raises(OUTAGES), frozen.write() as session:  # an outage, so that whoever wakes up knows what to do
        append_entry(frozen, session, AuditEvent("job.start", Caller("frozen")))
        started = JobStore(database).start(JobKind.SCORING, BODY, actor=Caller("nightly"))
        told = started.job.id
    frozen.dispose()
    assert JobStore(database).get(told).state == "queued"
    assert verify_chain(database).is_whole


def test_requests_and_workers_end_where_they_stand_still_and_migrations_do_not(url: str) -> None:
    def shown(opened: OperationsDatabase) -> list[str]:
        names = ("idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_count")
        with opened.read() as session:
            values = [str(session.execute(sa.text(f"show {name}")).scalar_one()) for name in names]
        opened.dispose()
        return values

    assert shown(OperationsDatabase(url, patience=REQUEST_PATIENCE)) == ["5s", "5", "3"]
    assert shown(OperationsDatabase(url, patience=WORKER_PATIENCE)) == ["15s", "5", "3"]
    assert shown(OperationsDatabase(url, has_statement_limits=False))[0] == "0"


def is_known(ring: KeyRing, key: str) -> bool:
    """For AWAY_SECONDS after a failure nobody asks."""
    try:
        return asyncio.run(ring.identify(key, None)).name == "sync"
    except TransientError:
        return False


def test_whoever_asks_a_frozen_server_is_answered(
    url: str, database: OperationsDatabase, frozen: PostgresServer
) -> None:
    """Its machine acknowledges all that is sent, and takes new connections: no limit counts but our own."""
    store, ring = JobStore(database), KeyRing(KeyStore(database))
    key = KeyStore(database).create("sync", ["run"], caller=COMMAND_LINE).text
    worker = OperationsDatabase(url, patience=replace(WORKER_PATIENCE, statement=0.1))
    with worker.read(), worker.read(), database.read(), database.read(), database.read():
        pass  # each has connections now
    frozen.freeze()
    with ThreadPoolExecutor() as threads:
        start = threads.submit(seconds_of, lambda: store.start(JobKind.SCORING, BODY, actor=Caller("nightly")))
        beat = threads.submit(seconds_of, lambda: KeyStore(worker).find("aaaaaaaaaaaa"))
        answers = look_ups(ring, [key] * 20 + [mint_key().text for _ in range(60)])
        assert {code for _, code in answers} == {"operations-unavailable"}
        assert max(seconds for seconds, _ in answers) < ANSWERED_SECONDS
        assert start.result() < ANSWERED_SECONDS
        assert beat.result() < 10
    frozen.thaw()
    wait_until(lambda: is_known(ring, key), "nobody is told any more that it is away", seconds=10)
    assert verify_chain(database).is_whole
    worker.dispose()


def test_whoever_asks_a_silent_address_is_answered_and_the_next_one_at_once() -> None:
    """Sixty callers do not wait for each other's two seconds."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        address = f"postgresql+psycopg://gtm@127.0.0.1:{silent.getsockname()[1]}/gtm"
        nobody = OperationsDatabase(address, patience=REQUEST_PATIENCE)
        ring = KeyRing(KeyStore(nobody))
        answers = look_ups(ring, [mint_key().text for _ in range(60)])
        assert {code for _, code in answers} == {"operations-unavailable"}
        assert max(seconds for seconds, _ in answers) < ANSWERED_SECONDS
        assert sum(seconds for seconds, _ in look_ups(ring, [mint_key().text for _ in range(5)])) < 1
        nobody.dispose()


def test_a_key_is_looked_up_once_at_a_time_and_guesses_do_not_stand_in_its_way(database: OperationsDatabase) -> None:
    clock = [100.0]
    store = _GatedStore(database)
    ring = KeyRing(store, clock=lambda: clock[0])
    key = store.create("sync", ["run"], caller=COMMAND_LINE).text

    async def ask() -> None:
        assert await asyncio.gather(*(_name(ring, key) for _ in range(50))) == ["sync"] * 50
        assert store.asked == 1
        clock[0] += 60
        store.is_open.clear()
        guesses = [asyncio.ensure_future(_name(ring, mint_key().text)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await _name(ring, key) == "sync"  # all threads for guesses wait
        store.is_open.set()
        outcomes = Counter(await asyncio.gather(*guesses))
        assert outcomes == {"unauthorised": 16, "operations-unavailable": 84}

    asyncio.run(ask())


class _GatedStore(KeyStore):
    """Unknown ids are found out only while `is_open`."""

    def __init__(self, database: OperationsDatabase) -> None:
        super().__init__(database)
        self.asked = 0
        self.is_open = threading.Event()
        self.is_open.set()

    def find(self, key_id: str) -> StoredKey | None:
        self.asked += 1
        found = super().find(key_id)
        if found is None:
            assert self.is_open.wait(10)
        return found


async def _name(ring: KeyRing, text: str) -> str:
    """The caller's, or the code of the refusal."""
    try:
        return (await ring.identify(text, None)).name
    except GtmError as refused:
        return refused.code
