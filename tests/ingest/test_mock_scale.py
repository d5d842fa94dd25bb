"""The generator at scale: the same rows for every batch size, events that name records that exist, dirt where it is."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from services.ingest.adapters.mock import MockSource
from services.ingest.domain.batches import build_batch
from services.ingest.domain.mock.dirt_places import PLACES
from services.ingest.domain.mock.generate import MOCK_TABLES, generate_tables
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.visits import CHUNK_ROWS
from services.ingest.domain.raw_schema import source_columns
from services.ingest.domain.sources import SourceBatch

AS_OF = date(2026, 3, 1)
EVENTS = ("hubspot_web_visits", "hubspot_form_submissions", "hubspot_email_events")
VISITS = 3 * CHUNK_ROWS - 17


def generate(dirt: float) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.Table]] = {table: [] for table in MOCK_TABLES}
    for table, rows in generate_tables(MockOptions(accounts=2000, visits=VISITS, dirt=dirt), AS_OF):
        parts[table].append(rows)
    return {table: pa.concat_tables(rows) for table, rows in parts.items()}


@pytest.fixture(scope="module")
def clean() -> dict[str, pa.Table]:
    return generate(dirt=0)


@pytest.fixture(scope="module")
def dirty() -> dict[str, pa.Table]:
    return generate(dirt=0.05)


@pytest.mark.parametrize("batch_rows", (4_999, 1_000_000))
def test_rows_do_not_depend_on_the_batch_size(dirty: dict[str, pa.Table], batch_rows: int) -> None:
    source = MockSource(MockOptions(accounts=2000, visits=VISITS, dirt=0.05, as_of=AS_OF), None)
    parts: dict[str, list[pa.Table]] = {table: [] for table in MOCK_TABLES}
    for batch in source.read(batch_rows):
        assert isinstance(batch, SourceBatch) and batch.rows.num_rows <= batch_rows
        parts[batch.table].append(batch.rows)
    assert [table for table in MOCK_TABLES if not pa.concat_tables(parts[table]).equals(dirty[table])] == []


def test_as_many_events_as_asked_for(clean: dict[str, pa.Table]) -> None:
    visits, forms, emails = (clean[table] for table in EVENTS)
    assert (visits.num_rows, forms.num_rows) == (VISITS, VISITS // 100)
    assert 2 < emails.num_rows / (VISITS // 50) < 3
    for events in (visits, forms, emails):
        assert pc.count_distinct(events["id"]).as_py() == events.num_rows
    assert pc.count_distinct(visits["occurred_at"]).as_py() > 0.99 * VISITS, "a chunk repeats another"


def test_every_event_names_records_that_exist(clean: dict[str, pa.Table]) -> None:
    companies, contacts = clean["hubspot_companies"], clean["hubspot_contacts"]
    merged = pc.list_flatten(pc.split_pattern(pc.drop_null(companies["hs_merged_object_ids"]), ";"))
    people = [contacts["id"], clean["hubspot_contact_merges"]["merged_id"]]
    for table, column, known in (
        ("hubspot_web_visits", "contact_id", [contacts["id"]]),
        ("hubspot_form_submissions", "contact_id", people),
        ("hubspot_email_events", "recipient", [contacts["email"]]),
        ("hubspot_email_events", "email_campaign_id", [clean["hubspot_email_campaigns"]["id"]]),
        ("hubspot_contacts", "company_id", [companies["id"], merged]),
    ):
        named = pc.drop_null(clean[table][column])
        values = pa.concat_arrays([chunk for array in known for chunk in getattr(array, "chunks", [array])])
        assert len(named) > 500 and pc.all(pc.is_in(named, value_set=values)).as_py(), (table, column)
    assert pc.all(pc.is_valid(contacts["company_id"])).as_py()
    for table in ("hubspot_form_submissions", "hubspot_email_events"):
        assert not any(column.null_count for column in clean[table].select(source_columns(table)).columns)


def test_a_known_person_comes_with_a_browser_of_its_own(clean: dict[str, pa.Table]) -> None:
    visits = clean["hubspot_web_visits"]
    signed_in = visits.filter(pc.is_valid(visits["contact_id"])).group_by("contact_id")
    browsers = signed_in.aggregate([("visitor_id", "count_distinct")])
    assert pc.max(browsers["visitor_id_count_distinct"]).as_py() == 1
    known = pc.is_in(
        visits["visitor_id"], value_set=pc.unique(visits.filter(pc.is_valid(visits["contact_id"]))["visitor_id"])
    )
    assert 0.05 < 1 - pc.mean(known.cast("double")).as_py() < 0.08  # one in fifteen is a stranger


def test_visits_are_in_order_within_a_chunk(clean: dict[str, pa.Table]) -> None:
    happened = clean["hubspot_web_visits"]["occurred_at"].to_pylist()
    for start in range(0, VISITS, CHUNK_ROWS):
        assert happened[start : start + CHUNK_ROWS] == sorted(happened[start : start + CHUNK_ROWS])


@pytest.mark.parametrize("table", EVENTS)
def test_key_and_change_time_are_what_landing_reads_in_the_text(
    clean: dict[str, pa.Table], dirty: dict[str, pa.Table], table: str
) -> None:
    for rows in (clean[table].combine_chunks(), dirty[table].combine_chunks()):
        columns = {name: rows[name].combine_chunks() for name in source_columns(table)}
        stamp = PLACES[table].stamp
        assert stamp is not None
        read = build_batch(
            table,
            columns,
            key=[columns["id"]],
            updated_at=columns[stamp],
            is_deleted=rows["is_deleted"].combine_chunks(),
        )
        assert rows.equals(read)


def test_dirt_leaves_the_other_rows_as_they_were(clean: dict[str, pa.Table], dirty: dict[str, pa.Table]) -> None:
    table = "hubspot_email_events"
    was, now = ({tuple(row.values()) for row in tables[table].to_pylist()} for tables in (clean, dirty))
    for touched in (was - now, now - was):  # some defects, such as a duplicate, leave the row itself as it is
        assert 0.03 < len(touched) / len(was) < 0.05
