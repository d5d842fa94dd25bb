"""A broken row costs itself and not its neighbours."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.csv_records import BrokenRecord, CsvRecord, CsvSplitter
from services.ingest.domain.line_buffer import LineBuffer


def read_records(raw: bytes) -> list[CsvRecord | BrokenRecord]:
    """The records behind the first line, which is the header and has no quotes."""
    buffer = LineBuffer(io.BytesIO(raw).read)
    width = len(buffer.take_line().split(b","))
    splitter = CsvSplitter(buffer, width)
    return list(iter(splitter.next_record, None))


def split(text: str | bytes) -> tuple[list[tuple[int, list[str]]], list[tuple[int, str]]]:
    records = read_records(text if isinstance(text, bytes) else text.encode())
    good = [(one.line, one.fields) for one in records if isinstance(one, CsvRecord)]
    return good, [(one.line, one.reason) for one in records if isinstance(one, BrokenRecord)]


def test_wrong_number_of_fields() -> None:
    good, broken = split("a,b,c\n1,x,y\n2,x\n3,x,y,z\n4,x,y\n")
    assert good == [(2, ["1", "x", "y"]), (5, ["4", "x", "y"])]
    assert broken == [(3, "2 fields where the header has 3"), (4, "4 fields where the header has 3")]


def test_two_broken_lines_among_quoted_multi_line_values() -> None:
    text = (
        'id,note,city\n1,"two\nlines",Bonn\n2,"never closed,Kiel\n3,"again\n\ntwo",Ulm\n4,plain,Jena\n5,"x"y,Gera\n'
        '6,"last\none",Suhl\n'
    )
    good, broken = split(text)
    assert good == [
        (2, ["1", "two\nlines", "Bonn"]),
        (5, ["3", "again\n\ntwo", "Ulm"]),
        (8, ["4", "plain", "Jena"]),
        (10, ["6", "last\none", "Suhl"]),
    ]
    assert [line for line, _ in broken] == [4, 9]
    assert all("bad quoting" in reason for _, reason in broken)


def test_quote_that_is_never_closed_swallows_nothing() -> None:
    good, broken = split('a,b\n1,"x\n' + "".join(f"{n},y\n" for n in range(2, 60)))
    assert len(good) == 58
    assert broken == [(2, "bad quoting: a quote is never closed")]


def test_quote_that_is_closed_far_away_is_given_up() -> None:
    good, broken = split('a,b\n1,"x\n' + "".join(f"{n},{'y' * 1000}\n" for n in range(2, 402)) + '402,"z"\n')
    assert len(good) == 401
    assert [line for line, _ in broken] == [2]


def test_stray_quotes_that_close_each_other_do_not_swallow_the_rows_between() -> None:
    good, broken = split('a,b,c\n1,"x,y\n2,x,y\n3,x,y\n4,x",y,z\n5,x,y\n')
    assert [fields[0] for _, fields in good] == ["2", "3", "5"]
    assert [line for line, _ in broken] == [2, 5]


def test_wrong_width_of_a_multi_line_record_is_one_reject() -> None:
    good, broken = split('a,b,c\n1,"two\nlines"\n2,x,y\n')
    assert good == [(4, ["2", "x", "y"])]
    assert broken == [(2, "2 fields where the header has 3")]


def test_bytes_that_are_not_utf8() -> None:
    good, broken = split(b"a,b\n1,M\xfcller\n2,M\xc3\xbcller\n")
    assert good == [(3, ["2", "Müller"])]
    reason = "bytes that are not UTF-8: export the file as UTF-8, or name its `encoding` in the mapping"
    assert broken == [(2, reason)]
    record = [one for one in read_records(b"a,b\n1,M\xfcller\n") if isinstance(one, BrokenRecord)][0]
    assert record.content == "1,M\\xfcller"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_blank_lines_and_missing_final_newline(ending: str) -> None:
    good, _ = split(ending.join(["a,b", "", "1,x", "", "2,y"]))
    assert good == [(3, ["1", "x"]), (5, ["2", "y"])]


def test_rows_quoted_as_a_whole_are_taken_apart() -> None:
    records = read_records(b'a,b,c\n"1,x,""y, z"""\n2,x,y\n"3,""two\nlines"",y"\n"4,x"\n')
    good = [one for one in records if isinstance(one, CsvRecord)]
    assert [(one.line, one.fields, one.is_repaired) for one in good] == [
        (2, ["1", "x", "y, z"], True),
        (3, ["2", "x", "y"], False),
        (4, ["3", "two\nlines", "y"], True),
    ]
    assert [one.reason for one in records if isinstance(one, BrokenRecord)] == ["1 fields where the header has 3"]


def test_stray_quotes_at_both_ends_of_two_rows_are_no_whole_row() -> None:
    good, broken = split('a,b,c\n"1,x,y\n2,x,y"\n3,x,y\n')
    assert good == [(3, ["2", "x", 'y"']), (4, ["3", "x", "y"])]
    assert broken == [(2, "1 fields where the header has 3")]


TEXT = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=8))
def test_whatever_a_writer_writes_is_read_back(rows: list[tuple[str, str, str]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([("a", "b", "c"), *rows])
    good, broken = split(file.getvalue())
    assert [tuple(fields) for _, fields in good] == rows
    assert not broken
