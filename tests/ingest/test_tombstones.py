"""What the source has no more: rows of RAW that stay as they were and are marked as deleted."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.ingest.domain.loads import LandedCounts
from services.ingest.domain.sources import SourceBatch
from shared.errors import TerminalError
from shared.warehouse import Warehouse
from tests.ingest.conftest import Query
from tests.ingest.segment_landing import Landing, batch

PAIRS = "hubspot_deal_contacts"
PAIR_ROWS = f"select deal_id, contact_id, is_deleted, load_id from raw.{PAIRS} order by 1, 2"
CONTACTS = "hubspot_contacts"
ALIVE = f"select id from raw.{CONTACTS} where not is_deleted order by cast(id as integer)"


@pytest.fixture
def landing(warehouse: Warehouse, tmp_path: Path) -> Landing:
    return Landing(warehouse, tmp_path / "spool")


def pairs(*texts: str, of: str) -> SourceBatch:
    """All contacts of these deals; `d1-c1` is a pair."""
    rows = [dict(zip(("deal_id", "contact_id"), text.split("-"), strict=True)) for text in texts]
    return batch(PAIRS, *rows, key=("deal_id", "contact_id"), replaces=("deal_id", of.split()))


def contacts(*ids: int, is_scan: bool = True) -> SourceBatch:
    return batch(CONTACTS, *({"id": str(id_), "email": f"{id_}@a.example"} for id_ in ids), is_scan=is_scan)


def alive(query: Query) -> list[int]:
    return [int(id_) for (id_,) in query(ALIVE)]


def test_a_batch_that_is_all_of_some_records_deletes_what_else_they_had(landing: Landing, query: Query) -> None:
    landing.land(pairs("d1-c1", "d1-c2", "d2-c1", "d3-c3", of="d1 d2 d3"))
    counts = landing.land(pairs("d1-c2", "d1-c4", of="d1 d2"), job="job-2")[PAIRS]
    assert counts == LandedCounts(seen=2, inserted=1, updated=0, unchanged=1, duplicates=0, rejected=0, deleted=2)
    assert query(PAIR_ROWS) == [
        ("d1", "c1", True, "job-2"),
        ("d1", "c2", False, "job-1"),
        ("d1", "c4", False, "job-2"),
        ("d2", "c1", True, "job-2"),
        ("d3", "c3", False, "job-1"),
    ]
    before = query(f"select * from raw.{PAIRS} order by all")
    assert landing.land(pairs("d1-c2", "d1-c4", of="d1 d2"), job="job-3")[PAIRS].changed == 0
    assert query(f"select * from raw.{PAIRS} order by all") == before


def test_what_comes_again_is_alive_again(landing: Landing, query: Query) -> None:
    landing.land(pairs("d1-c1", of="d1"))
    landing.land(pairs(of="d1"), job="job-2")
    assert query(PAIR_ROWS) == [("d1", "c1", True, "job-2")]
    assert landing.land(pairs("d1-c1", of="d1"), job="job-3")[PAIRS].updated == 1
    assert query(PAIR_ROWS) == [("d1", "c1", False, "job-3")]


def test_the_last_of_several_replacements_in_a_segment_counts(landing: Landing, query: Query) -> None:
    landing.land(pairs("d1-c1", of="d1"))
    counts = landing.land(pairs("d1-c2", "d1-c3", "d2-c2", of="d1 d2"), pairs("d1-c3", of="d1"), job="job-2")[PAIRS]
    assert counts == LandedCounts(seen=4, inserted=2, updated=0, unchanged=0, duplicates=2, rejected=0, deleted=1)
    assert query(PAIR_ROWS) == [
        ("d1", "c1", True, "job-2"),
        ("d1", "c3", False, "job-2"),
        ("d2", "c2", False, "job-2"),
    ]


def test_a_tombstone_keeps_the_record_and_its_hash_says_deleted(landing: Landing, query: Query) -> None:
    row = {"id": "1", "email": "a@b.example", "updated_at": "2026-01-01"}
    landing.land(batch(CONTACTS, row))
    landing.land(batch(CONTACTS, replaces=("id", ["1"])), job="job-2")
    columns = f"select email, source_updated_at, row_hash, is_deleted from raw.{CONTACTS}"
    gone = query(columns)
    landing.land(batch(CONTACTS, row), job="job-3")
    assert query(columns)[0][:2] == gone[0][:2] and query(columns)[0][2] != gone[0][2]
    landing.land(batch(CONTACTS, {**row, "is_deleted": True}), job="job-4")
    assert query(columns) == gone


def test_a_whole_reading_over_segments_and_attempts_deletes_what_did_not_come(landing: Landing, query: Query) -> None:
    landing.land(contacts(*range(1, 11), is_scan=False))
    landing.land(contacts(1, 2, 3), job="job-2", segment="a")
    with pytest.raises(RuntimeError):
        landing.land(contacts(4, 5), job="job-2", segment="b", ended=[CONTACTS], stops_with=RuntimeError("killed"))
    assert alive(query) == list(range(1, 11))
    landing.land(contacts(4), job="job-2", segment="b")
    counts = landing.land(contacts(5, 11), job="job-2", segment="c", ended=[CONTACTS])[CONTACTS]
    assert (counts.inserted, counts.unchanged, counts.deleted) == (1, 1, 5)
    assert alive(query) == [1, 2, 3, 4, 5, 11]
    assert query("select distinct load_id from raw.scan_keys") == [("job-2",)]
    loads = "select load_id, is_complete, seen, inserted, unchanged, deleted from raw.loads order by 1"
    assert query(loads) == [("job-1", False, 10, 10, 0, 0), ("job-2", True, 6, 1, 5, 5)]


def test_the_end_of_a_reading_that_lands_again_deletes_nothing_more(landing: Landing, query: Query) -> None:
    """Who dies between the rows and the cursor comes to the end again, with or without its last rows."""
    landing.land(contacts(*range(12), is_scan=False))
    landing.land(contacts(*range(5)), job="job-2", segment="a")
    for last in ([5, 6], [5, 6], []):
        landing.land(contacts(*last), job="job-2", segment="b", ended=[CONTACTS])
        assert alive(query) == list(range(7))
    landing.land(contacts(*range(7)), job="job-3", ended=[CONTACTS])
    assert query("select distinct load_id from raw.scan_keys") == [("job-3",)]


def test_records_that_are_held_back_are_not_gone(landing: Landing, query: Query) -> None:
    landing.land(contacts(*range(4)), pairs("d1-c1", of="d1"))
    held = replace(contacts(0, 1), held_back=("2",))
    landing.land(held, job="job-2", segment="a")
    landing.land(replace(contacts(), held_back=("3",)), job="job-2", segment="b", ended=[CONTACTS])
    assert alive(query) == [0, 1, 2, 3]
    (key,) = query(f"select source_record_id from raw.{PAIRS}")
    landing.land(replace(pairs(of="d1"), held_back=key), job="job-2", segment="c")
    assert query(PAIR_ROWS) == [("d1", "c1", False, "job-1")]


def test_the_keys_of_another_load_do_not_count(landing: Landing, query: Query) -> None:
    landing.land(contacts(1, 2, 3))
    landing.land(contacts(1), job="job-2", segment="a")
    landing.land(contacts(2, 3), job="job-3", ended=[CONTACTS])
    assert alive(query) == [2, 3]
    landing.land(contacts(2), job="job-2", segment="b", ended=[CONTACTS])
    assert alive(query) == [2]  # job-2 met 1 before it was deleted, and brings it no more


def test_what_the_load_itself_brought_beside_the_scan_is_not_gone(landing: Landing, query: Query) -> None:
    landing.land(contacts(1, 2))
    landing.land(contacts(1, 2), contacts(3, is_scan=False), job="job-2", segment="a")
    landing.land(contacts(4, is_scan=False), job="job-2", segment="b", ended=[CONTACTS])
    assert alive(query) == [1, 2, 3, 4]


def test_records_without_a_key_are_scanned_by_their_content(landing: Landing, query: Query) -> None:
    first, second = ({"id": None, "email": f"{name}@a.example"} for name in "ab")
    landing.land(batch(CONTACTS, first, second, is_scan=True), ended=[CONTACTS])
    landing.land(batch(CONTACTS, first, is_scan=True), job="job-2", ended=[CONTACTS])
    assert query(f"select email, is_deleted from raw.{CONTACTS} order by 1") == [
        ("a@a.example", False),
        ("b@a.example", True),
    ]


@pytest.mark.parametrize("left", [9, 0])
def test_a_source_that_lost_more_than_half_deletes_nothing(landing: Landing, query: Query, left: int) -> None:
    landing.land(contacts(*range(20)))
    with pytest.raises(TerminalError, match=f"lacks {20 - left} of the 20 records") as raised:
        landing.land(contacts(*range(left)), job="job-2", ended=[CONTACTS])
    assert raised.value.code == "source-shrank"
    assert len(alive(query)) == 20
    landing.land(contacts(*range(left)), job="job-3", ended=[CONTACTS], accept_volume=True)
    assert alive(query) == list(range(left))


def test_another_source_of_the_same_size_deletes_nothing(landing: Landing, query: Query) -> None:
    landing.land(contacts(*range(20)))
    with pytest.raises(TerminalError, match="lacks 20 of the 20 records"):
        landing.land(contacts(*range(100, 120)), job="job-2", ended=[CONTACTS])
    assert alive(query) == list(range(20))


def test_half_is_enough_and_an_empty_raw_is_no_shrinking(landing: Landing, query: Query) -> None:
    landing.land(ended=[CONTACTS])
    landing.land(contacts(*range(20)), job="job-2")
    landing.land(contacts(*range(10)), job="job-3", ended=[CONTACTS])
    assert alive(query) == list(range(10))


def test_of_a_handful_all_may_go(landing: Landing, query: Query) -> None:
    landing.land(contacts(*range(19)))
    landing.land(job="job-2", ended=[CONTACTS])
    assert alive(query) == []


def test_a_scan_in_segments_is_measured_as_a_whole(landing: Landing, query: Query) -> None:
    landing.land(contacts(*range(20)))
    for number in range(10):
        landing.land(contacts(number), job="job-2", segment=str(number), ended=[CONTACTS] if number == 9 else [])
    assert alive(query) == list(range(10))
