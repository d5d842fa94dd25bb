"""Fields that a source gets, loses or retypes: recorded, shown, and dealt with as the sync was asked."""

import json
from typing import Any

import pyarrow as pa
import pytest

from services.ingest.domain.batches import build_batch, to_json_objects
from services.ingest.domain.schema_drift import SchemaWatch, compare_fields, hold_back
from services.ingest.domain.sources import Checkpoint, SourceBatch
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError
from shared.warehouse import Warehouse
from tests.ingest.conftest import MemoryJob, Query
from tests.ingest.scripted import TABLE, Runs
from tests.source_states import MemoryStates

OLD = {"id": "string", "email": "string", "score": "number"}
NEW = {"id": "string", "email": "string", "score": "string", "tier": "string"}
CHANGES = "select field, change, old_type, new_type, load_id from raw.schema_changes order by load_id, field"


def batch(rows: list[dict[str, str | None]], fields: dict[str, str | None]) -> SourceBatch:
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in {"id", "email", *fields}}
    extra = {name: column for name, column in columns.items() if name not in ("id", "email")}
    landed = {name: columns[name] for name in ("id", "email")}
    return SourceBatch(
        TABLE,
        build_batch(
            TABLE,
            landed,
            key=[columns["id"]],
            updated_at=None,
            is_deleted=None,
            extra=to_json_objects(extra) if extra else None,
        ),
        fields=fields,
    )


ROWS: list[dict[str, str | None]] = [
    {"id": "1", "email": "a@example.com", "score": "7"},
    {"id": "2", "email": "tier", "score": "tier", "tier": None},
    {"id": "3", "email": "c@example.com", "tier": "gold"},
]


def test_each_kind_of_change_is_told_once() -> None:
    changes = compare_fields(TABLE, {**OLD, "gone": None, "vague": None}, {**NEW, "vague": "number"})
    assert [(one.field, one.change, one.old_type, one.new_type) for one in changes] == [
        ("gone", "removed", None, None),
        ("score", "retyped", "number", "string"),
        ("tier", "added", None, "string"),
    ]
    assert compare_fields(TABLE, OLD, dict(reversed(OLD.items()))) == []


def test_a_table_that_was_never_seen_is_learnt_and_changes_nothing() -> None:
    watch = SchemaWatch("freeze", {})
    watch.look_at(batch(ROWS[:1], OLD))
    assert watch.take() == ([], {TABLE: OLD})
    watch.look_at(batch(ROWS[:1], OLD))
    watch.look_at(batch(ROWS[:1], {}))  # not told
    assert watch.take() == ([], {})


def test_quarantine_holds_back_rows_that_fill_the_field_and_no_others() -> None:
    kept = hold_back(batch(ROWS, NEW), ["tier"])
    assert kept.rows.column("id").to_pylist() == ["1", "2"], "in their order"
    assert kept.held_back == ("3",), "it came: a whole reading must not take it for gone"
    (reject,) = kept.rejects
    assert json.loads(reject.content)["id"] == "3" and "new field tier" in reject.reason
    assert (reject.file, reject.line) == (TABLE, 0)


def test_quarantine_takes_an_empty_batch() -> None:
    assert hold_back(batch([], NEW), ["tier"]).rows.num_rows == 0


@pytest.mark.parametrize("name", ["jobtitle", "JobTitle"])
def test_a_new_field_that_has_a_raw_column_is_found_there(name: str) -> None:
    rows = [{"id": "1", "jobtitle": None}, {"id": "2", "jobtitle": "CFO"}]
    columns = {key: pa.array([row[key] for row in rows], pa.string()) for key in ("id", "jobtitle")}
    table = build_batch(TABLE, columns, key=[columns["id"]], updated_at=None, is_deleted=None)
    found = hold_back(SourceBatch(TABLE, table), [name if name == "jobtitle" else "Jobtitle__c"])
    assert found.rows.column("id").to_pylist() == ["1"] and len(found.rejects) == 1


@pytest.fixture
def run(warehouse: Warehouse, settings: IngestSettings, states: MemoryStates) -> Runs:
    return Runs(warehouse, settings, states)


def sync(run: Runs, job_id: str, fields: dict[str, str | None], **request: Any) -> dict[str, Any]:
    events = [batch(ROWS, fields), Checkpoint("contacts", {"at": job_id})]
    return run(lambda one: iter(events), job=MemoryJob(job_id, {}), **request)


def test_evolve_lands_everything_and_tells(run: Runs, query: Query) -> None:
    assert sync(run, "job-1", OLD)["schema_changes"] == []
    changed = sync(run, "job-2", NEW)
    assert changed["schema_changes"] == [
        {"table": TABLE, "field": "score", "change": "retyped", "old_type": "number", "new_type": "string"},
        {"table": TABLE, "field": "tier", "change": "added", "old_type": None, "new_type": "string"},
    ]
    assert query(CHANGES) == [
        ("score", "retyped", "number", "string", "job-2"),
        ("tier", "added", None, "string", "job-2"),
    ]
    ((extra,),) = query("select extra from raw.hubspot_contacts where id = '3'")
    assert json.loads(extra) == {"tier": "gold"}
    assert sync(run, "job-3", NEW)["schema_changes"] == []
    assert len(query(CHANGES)) == 2
    gone = sync(run, "job-4", OLD)["schema_changes"]
    assert [(one["field"], one["change"]) for one in gone] == [("score", "retyped"), ("tier", "removed")]


def test_freeze_lands_nothing_of_the_segment_and_names_the_fields(run: Runs, query: Query) -> None:
    sync(run, "job-1", OLD)
    for job_id in ("job-2", "job-3"):
        with pytest.raises(TerminalError, match="tier of hubspot_contacts added.*on_schema_change=evolve") as caught:
            sync(run, job_id, {**NEW, "score": "number"}, on_schema_change="freeze")
        assert caught.value.code == "schema-changed"
        assert caught.value.extensions["changes"][0]["field"] == "tier"
    assert run.states.read_cursors("scripted") == {"contacts": {"at": "job-1"}}
    assert query("select distinct load_id from raw.hubspot_contacts") == [("job-1",)]
    assert [row[-1] for row in query(CHANGES)] == ["job-2", "job-3"], "a frozen sync is recorded too"
    assert len(sync(run, "job-4", NEW)["schema_changes"]) == 2
    assert sync(run, "job-5", NEW, on_schema_change="freeze")["schema_changes"] == [], "evolve has accepted it"


def test_quarantine_goes_on_until_somebody_accepts_the_field(run: Runs, query: Query) -> None:
    sync(run, "job-1", OLD)
    query_rows = "select count(*) from raw.hubspot_contacts where load_id = '{}'"
    for job_id in ("job-2", "job-3"):
        result = sync(run, job_id, NEW, on_schema_change="quarantine")
        assert (result["rejected"], result["unchanged"], result["seen"]) == (1, 2, 3)
        assert "new field tier" in result["first_rejects"][0]["reason"]
    ((content,),) = query("select content from raw.rejects")
    assert "gold" in content
    accepted = sync(run, "job-4", NEW)
    assert accepted["rejected"] == 0 and [one["field"] for one in accepted["schema_changes"]] == ["tier"]
    assert query(query_rows.format("job-4")) == [(1,)]


def test_a_change_in_the_middle_of_a_sync_is_met_with_its_segment(run: Runs, query: Query) -> None:
    events = [
        batch(ROWS[:1], OLD),
        Checkpoint("contacts", {"at": 1}),
        batch(ROWS[2:], NEW),
        Checkpoint("contacts", {"at": 2}),
    ]
    with pytest.raises(TerminalError, match="score of hubspot_contacts retyped from number to string"):
        run(lambda one: iter(events), on_schema_change="freeze")
    assert query("select id from raw.hubspot_contacts") == [("1",)]
    assert run.states.read_fields("scripted") == {TABLE: OLD}
    assert run.states.read_cursors("scripted") == {"contacts": {"at": 1}}
