"""A build's nodes, the rows that its tests found, its events and its retry, over real HTTP beside a real dbt."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from services.scoring.adapters.builds import require_trusted_marts
from services.transform.adapters import findings
from services.transform.adapters.build_nodes import read_changes, read_nodes
from services.transform.adapters.build_record import OperationsRecord
from services.transform.adapters.remainders import has_landed_since
from services.transform.domain.build_plan import BuildPlan, Remainder
from services.transform.domain.run_results import NodeResult
from shared.access.audit import read_entries
from shared.contracts import JobKind, JobState
from shared.errors import TerminalError
from shared.jobs.context import LeaseLost
from shared.jobs.leases import Claim, Leases
from shared.jobs.view import JobView
from shared.operations.database import OperationsDatabase, operations_database
from shared.settings import OperationsSettings
from tests.servers import ApiServer
from tests.transform.mini import MiniHouse, make_mini_house

pytestmark = pytest.mark.processes

BLOCKED = "assert_way_is_clear"


@pytest.fixture
def mini(operations: OperationsDatabase, tmp_path: Path) -> Iterator[MiniHouse]:
    yield make_mini_house(tmp_path / "var", operations)
    operations_database().dispose()


@pytest.fixture
def api(mini: MiniHouse, tmp_path: Path) -> Iterator[ApiServer]:
    server = ApiServer("transform", tmp_path / "logs", {"REDIS_URL": "redis://127.0.0.1:1/0"})  # jobs only wait
    yield server.wait_ready()
    server.stop()


def _problem(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json()["code"]


def _events(api: ApiServer, build_id: str, **headers: str) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Until the server ends the stream: name, id, data."""
    found = []
    with httpx.stream("GET", f"{api.url}/v1/builds/{build_id}/events", headers=headers, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for block in response.read().decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in fields:
                found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def _distrust(mini: MiniHouse) -> Any:
    try:
        require_trusted_marts(mini.operations, is_forced=False, max_age_hours=1)
    except TerminalError as error:
        return error.extensions["build_id"]
    return None


def test_a_failed_build_is_shown_retried_and_made_up_for(
    mini: MiniHouse, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _problem(httpx.get(f"{api.url}/docs/dbt", follow_redirects=True)) == (404, "docs-not-built")
    failed = mini.build()
    assert failed.error is not None and failed.error["code"] == "dbt-test-failed"
    assert failed.error["nodes"] == {"passed": 2, "warned": 1, "failed": 1, "skipped": 1}
    assert "Empty analytics.blockers." in failed.error["detail"] and "ann@x.org" not in str(failed.error)
    assert _distrust(mini) == failed.id
    _look_at_nodes(api, failed)
    _look_at_rows(api, mini, failed)
    _look_at_events(api, failed)
    _look_at_senseless_retries(mini, failed, monkeypatch)

    mini.sql("delete from analytics.blockers")
    before = mini.house.rows("select built_by from analytics.third")
    retry = httpx.post(f"{api.url}/v1/builds", json={"retry_of": failed.id}, headers={"Idempotency-Key": "again"})
    assert retry.status_code == 202
    ended = mini.run(retry.json()["id"])
    assert ended.state == "succeeded" and ended.result is not None, ended.error
    assert ended.result["nodes"] == {"passed": 3, "warned": 0, "failed": 0, "skipped": 0}  # `first`, its test, `second`
    assert mini.house.rows("select built_by from analytics.third") == before
    assert ended.result["completes"] == [failed.id]
    assert _distrust(mini) is None

    again = httpx.post(f"{api.url}/v1/builds", json={"retry_of": failed.id}, headers={"Idempotency-Key": "again"})
    assert (again.status_code, again.json()["id"]) == (202, ended.id)
    for build_id in (failed.id, ended.id):  # a newer build has been at the marts; nothing is left of that one
        refused = httpx.post(f"{api.url}/v1/builds", json={"retry_of": build_id})
        assert _problem(refused) == (409, "build-not-retryable")
    gone = httpx.get(f"{api.url}/v1/builds/{failed.id}/nodes/{BLOCKED}/rows")
    assert _problem(gone) == (410, "failed-rows-gone") and gone.json()["build_id"] == ended.id


def _look_at_nodes(api: ApiServer, build: JobView) -> None:
    url = f"{api.url}/v1/builds/{build.id}/nodes"
    nodes = {node["node"]: node for node in httpx.get(url).json()["items"]}
    assert {name: node["status"] for name, node in nodes.items()} == {
        "first": "passed",
        "third": "passed",
        BLOCKED: "failed",
        "assert_third_is_small": "warned",
        "second": "skipped",
    }
    assert (nodes[BLOCKED]["failures"], nodes[BLOCKED]["message"]) == (3, "Empty analytics.blockers.")
    assert nodes["assert_third_is_small"]["message"] == "It is 3."
    assert nodes["first"]["message"] is None and nodes["first"]["seconds"] > 0
    assert nodes["first"]["started_at"] < nodes["first"]["ended_at"] and nodes["first"]["ended_at"].endswith("Z")
    page = httpx.get(url, params={"limit": 2}).json()
    rest = httpx.get(url, params={"cursor": page["next_cursor"]}).json()
    assert [node["position"] for node in page["items"] + rest["items"]] == [0, 1, 2, 3, 4]
    assert rest["next_cursor"] is None
    only = httpx.get(url, params={"status": ["failed", "warned"]}).json()["items"]
    assert {node["node"] for node in only} == {BLOCKED, "assert_third_is_small"}
    assert _problem(httpx.get(url, params={"cursor": "x"})) == (422, "cursor-invalid")
    assert _problem(httpx.get(f"{api.url}/v1/builds/nope/nodes")) == (404, "build-not-found")


def _look_at_rows(api: ApiServer, mini: MiniHouse, build: JobView) -> None:
    url = f"{api.url}/v1/builds/{build.id}/nodes"
    page = httpx.get(f"{url}/{BLOCKED}/rows", params={"limit": 2}).json()
    assert page["items"][0] == {"blocker": 0, "note": "ann@x.org", "message": "Empty analytics.blockers."}
    assert (page["failures"], page["next_offset"], page["rows_in"]) == (3, 2, f"analytics_failures.{BLOCKED}")
    rest = httpx.get(f"{url}/test.mini.{BLOCKED}/rows", params={"offset": 2}).json()
    assert ([row["blocker"] for row in rest["items"]], rest["next_offset"]) == ([2], None)
    assert _problem(httpx.get(f"{url}/first/rows")) == (404, "node-has-no-rows")
    assert _problem(httpx.get(f"{url}/nope/rows")) == (404, "node-not-found")
    assert _problem(httpx.get(f"{url}/{BLOCKED}/rows", params={"limit": 201}))[0] == 422
    with mini.house.warehouse.reserve_core():  # as a build does
        busy = httpx.get(f"{url}/{BLOCKED}/rows", timeout=30)
    looks = [entry for entry in read_entries(operations_database(), limit=9) if entry["action"] == "rows.read"]
    assert [(entry["actor"], entry["target"], entry["detail"]["rows"]) for entry in looks] == [
        ("local", build.id, 1),
        ("local", build.id, 2),
    ], "whoever saw rows, and nobody else"
    assert _problem(busy) == (503, "warehouse-busy") and int(busy.headers["retry-after"]) > 0


def _look_at_events(api: ApiServer, build: JobView) -> None:
    events = _events(api, build.id)
    assert [name for name, _, _ in events] == ["node"] * 5 + ["job"]
    assert events[-1][2]["state"] == "failed" and events[-1][2]["id"] == build.id
    seen = events[2][1]
    assert seen is not None
    assert _events(api, build.id, **{"Last-Event-ID": seen}) == events[3:]
    assert _events(api, build.id, **{"Last-Event-ID": "not ours"}) == events
    assert _problem(httpx.get(f"{api.url}/v1/builds/nope/events")) == (404, "build-not-found")


def _look_at_senseless_retries(mini: MiniHouse, build: JobView, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = mini.start()
    for build_id, reason in ((waiting, "is queued"), ("nope", "No build has the id 'nope'")):
        refused = mini.build(retry_of=build_id)
        assert refused.error is not None and reason in refused.error["detail"]
    mini.store.cancel(waiting)
    cancelled = mini.build(retry_of=waiting)
    assert cancelled.error is not None and "broke off before dbt had come to every node" in cancelled.error["detail"]
    with monkeypatch.context() as changed:
        changed.setenv("GTM_ATTRIBUTION_WINDOW_DAYS", "30")
        other = mini.build(retry_of=build.id)
    assert other.error is not None and (other.error["code"], other.error["status"]) == ("build-settings-changed", 409)


def test_a_retry_makes_up_for_a_build_only_over_the_same_raw_and_project() -> None:
    plan = BuildPlan("root", "settings", "project", full_refresh=False)
    rest = Remainder(("root",), plan, frozenset({"model.a", "test.b"}), ("a", "b"), datetime.now(UTC))
    ran = [NodeResult(name, "model", "passed", unique_id=name) for name in ("model.a", "test.b", "test.c")]
    assert rest.is_made_up_by(ran, "project", is_disturbed=False)
    assert not rest.is_made_up_by(ran[1:], "project", is_disturbed=False)
    assert not rest.is_made_up_by(ran, "another project", is_disturbed=False)
    assert not rest.is_made_up_by(ran, "project", is_disturbed=True)


def test_a_sync_since_the_root_has_landed(mini: MiniHouse) -> None:
    leases = Leases(mini.operations, OperationsSettings())

    def sync() -> tuple[str, Claim]:
        job_id = mini.store.start(JobKind.SYNC, {"source": "mock"}).job.id
        claimed, _ = leases.claim(job_id)
        assert claimed is not None
        return job_id, claimed

    _, early = sync()
    leases.end(early, JobState.SUCCEEDED, result={})
    moment = datetime.now(UTC)
    assert not has_landed_since(mini.operations, moment)
    _, late = sync()
    assert has_landed_since(mini.operations, moment)  # while it runs too: it may land at any moment
    leases.end(late, JobState.SUCCEEDED, result={})
    assert has_landed_since(mini.operations, moment)


def test_another_workers_claim_ends_the_writing_and_replaces_what_was_written(mini: MiniHouse) -> None:
    leases = Leases(mini.operations, OperationsSettings())
    job_id = mini.start()
    plan = BuildPlan(job_id, "settings", "project", full_refresh=False)
    records = []
    for attempt in (1, 2):
        claimed, _ = leases.claim(job_id)
        assert claimed is not None
        record = OperationsRecord(mini.operations, job_id, claimed.fence)
        record.begin(plan)
        record.note(NodeResult(f"node{attempt}", "model", "running", unique_id=f"model.x.node{attempt}"))
        record.flush()
        assert [node.node for node in read_nodes(mini.operations, job_id).items] == [f"node{attempt}"]
        records.append((record, claimed))
        if attempt == 1:
            leases.hand_back(claimed, None)
    ended = NodeResult("node1", "model", "passed", unique_id="model.x.node1")
    with pytest.raises(LeaseLost):
        records[0][0].complete([ended])
    (seen, node), *_ = read_changes(mini.operations, job_id, (records[0][1].fence, 99), is_over=False)
    assert (node.node, seen) == ("node2", (records[1][1].fence, 1))  # news for who followed the first attempt
    leases.end(records[1][1], JobState.CANCELLED)
    (cut_short,) = read_nodes(mini.operations, job_id, statuses=["failed"]).items
    assert (cut_short.node, cut_short.status, cut_short.message) == (
        "node2",
        "failed",
        "The build ended while this node ran.",
    )
    assert read_nodes(mini.operations, job_id, statuses=["running"]).items == []


def test_a_retry_builds_the_model_of_a_failed_test_again(mini: MiniHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test looks at a table that was built from the trouble; that the warehouse refuses the look at its rows
    changes nothing of what is known."""
    project = mini.house.project_dir
    (project / "models" / "waiting.sql").write_text("select count(*) as blockers from analytics.blockers")
    (project / "models" / "told.sql").write_text("select blockers from {{ ref('waiting') }}")
    (project / "tests" / "assert_none_waits.sql").write_text("select * from {{ ref('waiting') }} where blockers > 0")
    (project / "tests" / "assert_told.sql").write_text("select * from {{ ref('told') }} where blockers is null")
    (project / "tests" / "assert_way_is_clear.sql").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(findings, "read_failing_rows", _refuse)
        failed = mini.build()
    assert failed.error is not None and failed.error["code"] == "dbt-test-failed", failed.error
    nodes = {node.node: node.status for node in read_nodes(mini.operations, failed.id).items}
    assert (nodes["waiting"], nodes["assert_none_waits"], nodes["told"]) == ("passed", "failed", "skipped")
    mini.sql("delete from analytics.blockers")
    retry = mini.build(retry_of=failed.id)
    assert retry.result is not None and retry.result["completes"] == [failed.id], retry.error
    ran = {node.node for node in read_nodes(mini.operations, retry.id).items}
    assert ran == {"waiting", "assert_none_waits", "told", "assert_told"}


def _refuse(*_: object, **__: object) -> list[dict[str, Any]]:
    raise sa.exc.ProgrammingError("select", None, Exception("Insufficient privileges"))


def test_a_cancelled_build_tells_how_far_it_came(
    mini: MiniHouse, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mini.house.project_dir / "models" / "endless.sql").write_text(
        "select count(*) as n from range(1000000000000000) where range < 0 -- {{ ref('third') }}"
    )
    build_id = mini.start()
    note = OperationsRecord.note

    def cancel_when_endless(record: OperationsRecord, node: NodeResult) -> None:
        note(record, node)
        if node.node == "endless" and node.status == "running":
            mini.store.cancel(build_id)

    monkeypatch.setattr(OperationsRecord, "note", cancel_when_endless)
    assert mini.run(build_id).state == "cancelled"
    nodes = {node["node"]: node for name, _, node in _events(api, build_id) if name == "node"}
    assert nodes["third"]["status"] == "passed" and nodes["endless"]["status"] in ("failed", "skipped")
    assert not [node for node in nodes.values() if node["status"] == "running"]
    page = httpx.get(f"{api.url}/v1/builds/{build_id}/nodes").json()["items"]
    assert {node["node"]: node["status"] for node in page} == {name: node["status"] for name, node in nodes.items()}


def test_rows_that_another_build_found_are_not_shown(mini: MiniHouse, api: ApiServer) -> None:
    """A build whose worker was killed before it recorded the node, or a developer's dbt; or the test found none."""
    failed = mini.build()
    url = f"{api.url}/v1/builds/{failed.id}/nodes/{BLOCKED}/rows"
    table = f"analytics_failures.{BLOCKED}"
    mini.sql(f"create or replace table {table} as select *, '{failed.id}' as found_in_job_id from {table}")
    page = httpx.get(url, params={"limit": 2}).json()
    assert (len(page["items"]), page["failures"], page["kept"]) == (2, 3, 3)
    for change in ("set found_in_job_id = 'another'", "set found_in_job_id = null"):
        mini.sql(f"update {table} {change}")
        assert _problem(httpx.get(url)) == (410, "failed-rows-gone"), change
    mini.sql(f"delete from {table}")
    assert _problem(httpx.get(url)) == (410, "failed-rows-gone")
