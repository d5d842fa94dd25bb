"""Jobs as the APIs know them: idempotency keys, lists, the schema."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from shared.access.callers import Caller
from shared.contracts import JobKind, JobState
from shared.errors import InvalidRequest, Overloaded
from shared.jobs.leases import Leases
from shared.jobs.reading import read_jobs
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.operations.models import IdempotencyKey
from tests.conftest import REPOSITORY
from tests.shared.protocol import claim


def test_an_idempotency_key_starts_one_job(store: JobStore) -> None:
    first = store.start(JobKind.BUILD, {"select": "a"}, idempotency_key="k")
    again = store.start(JobKind.BUILD, {"select": "a"}, idempotency_key="k")
    assert (again.job.id, again.tickets) == (first.job.id, [])
    assert store.start(JobKind.SYNC, {"source": "mock"}, idempotency_key="k").job.id != first.job.id
    with pytest.raises(InvalidRequest, match="another request body"):
        store.start(JobKind.BUILD, {"select": "b"}, idempotency_key="k")


PIPELINE = {"sync": {"source": "mock", "options": {"accounts": 5}}}
BODIES: list[tuple[JobKind, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # what was asked; the same, with defaults that the release before knew; another
    (JobKind.SYNC, {"source": "mock"}, {"source": "mock", "mode": "incremental", "options": {}}, {"source": "files"}),
    (JobKind.BUILD, {}, {"select": None, "full_refresh": False}, {"full_refresh": True}),
    (JobKind.SCORING, {"limit": 5}, {"scope": "all", "limit": 5, "force": False}, {"limit": 5, "force": True}),
    (
        JobKind.PIPELINE,
        PIPELINE,
        {"sync": {**PIPELINE["sync"], "mode": "incremental"}, "build": {"select": None}},
        {**PIPELINE, "build": {"full_refresh": True}},
    ),
]


@pytest.mark.parametrize(("kind", "asked", "with_defaults", "other"), BODIES)
def test_a_key_outlives_a_release_that_adds_a_default(
    store: JobStore,
    operations: OperationsDatabase,
    kind: JobKind,
    asked: dict[str, Any],
    with_defaults: dict[str, Any],
    other: dict[str, Any],
) -> None:
    first = store.start(kind, with_defaults, idempotency_key="k").job
    with operations.write() as session:
        stored = session.get_one(IdempotencyKey, ("", "k", kind))
        new_hash = stored.body_hash
        # as the release before hashed it
        stored.body_hash = hashlib.sha256(json.dumps([kind, with_defaults], sort_keys=True).encode()).hexdigest()
        assert stored.body_hash != new_hash
    assert store.start(kind, asked, idempotency_key="k").job.id == first.id
    with pytest.raises(InvalidRequest, match="another request body"):
        store.start(kind, other, idempotency_key="k")
    store.start(kind, asked, idempotency_key="k2")
    with operations.read() as session:
        assert session.get_one(IdempotencyKey, ("", "k2", kind)).body_hash == new_hash


def test_a_key_is_its_callers_own_and_outlives_the_rotation_of_an_api_key(store: JobStore) -> None:
    def start(caller: Caller, *, full_refresh: bool) -> str:
        return store.start(JobKind.BUILD, {"full_refresh": full_refresh}, idempotency_key="k", actor=caller).job.id

    before, after, other = Caller("nightly", key_id="a"), Caller("nightly", key_id="b"), Caller("other", key_id="c")
    first = start(before, full_refresh=False)
    assert start(after, full_refresh=False) == first
    assert start(other, full_refresh=True) != first
    with pytest.raises(InvalidRequest, match="another request body"):
        start(after, full_refresh=True)


def test_many_jobs_are_read_as_one_by_one(store: JobStore, operations: OperationsDatabase) -> None:
    pipeline = store.start(JobKind.PIPELINE, {"sync": {"source": "mock"}}).job
    build = store.start(JobKind.BUILD, {}).job
    child = (pipeline.children or [])[0]
    ids = [pipeline.id, build.id, child.id]
    assert read_jobs(operations, [*ids, "unknown"]) == {job_id: store.get(job_id) for job_id in ids}
    assert read_jobs(operations, []) == {}


def test_a_full_queue_takes_no_more_and_a_pipeline_needs_room_in_three(store: JobStore) -> None:
    for _ in range(2):
        store.start(JobKind.SCORING, {}, queue_limit=2)
    for kind, request in ((JobKind.SCORING, {}), (JobKind.PIPELINE, {"sync": {"source": "mock"}})):
        with pytest.raises(Overloaded, match="scoring.batch"):
            store.start(kind, request, queue_limit=2)
    assert store.start(JobKind.BUILD, {}, queue_limit=2).tickets
    assert len(store.page().items) == 3


def test_lists_leave_out_what_is_long(store: JobStore, leases: Leases) -> None:
    job = store.start(JobKind.BUILD, {}).job
    result = {"nodes": {"passed": 2, "failed": 0}, "warned_nodes": [{"node": "a"}, {"node": "b"}]}
    leases.end(claim(leases, job.id), JobState.SUCCEEDED, result=result)
    assert store.page().items[0].result == {"nodes": {"passed": 2, "failed": 0}}
    assert store.get(job.id).result == result


def test_pages_hold_each_job_once(store: JobStore) -> None:
    started = [store.start(JobKind.BUILD, {"select": str(number)}).job.id for number in range(7)]
    seen, cursor = [], None
    while True:
        page = store.page(limit=3, cursor=cursor, kind=JobKind.BUILD)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == started[::-1]
    with pytest.raises(InvalidRequest, match="next_cursor"):
        store.page(cursor="bm9uc2Vuc2U=")


def test_many_identical_starts_one_job(store: JobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {job.job.id for job in pool.map(lambda _: store.start(JobKind.BUILD, {}, idempotency_key="k"), range(16))}
    assert len(ids) == 1


def test_the_migrations_make_what_the_models_say(operations: OperationsDatabase) -> None:
    config = Config()
    config.set_main_option("script_location", str(REPOSITORY / "shared" / "operations" / "migrations"))
    config.attributes["url"] = operations.engine.url.render_as_string(hide_password=False)
    command.check(config)
