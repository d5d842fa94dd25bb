"""Clean blocks are read by pyarrow, the rest record by record: the same rows and rejects either way."""

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.adapters.files import batching, csv_reader
from services.ingest.adapters.files.csv_blocks import parse_block
from services.ingest.adapters.files.csv_reader import BLOCK_BYTES, read_csv
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain import csv_records
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.line_buffer import LineTooLong
from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.sources import Reject

MAPPING = TableMapping.model_validate({"files": ["t"], "encoding": "utf-8", "key": ["a"], "columns": {"id": "a"}})
# What makes a CSV file what it is, right and wrong, beside plain text.
PIECES = [
    *('"', '""', ",", "\n", "\r\n", "\r", ";", " ", "x", "ü", "\0", "\u2028", "1,x,y\n", '1,"x, y",z\n', '"1,x,y"\n'),
    *('2,"two\nlines",z\n', '3,"a ""b""",c\n', "4,x\n", '5,"x\n', '"6","x","y"\r\n', "\n\n", ",,\n", '"",,""\n'),
]
DIRTY = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


UNNAMED_HEADER = "a,,b,c, \n"


def read(path: Path, block_bytes: int, batch_rows: int = 7) -> tuple[list[tuple[str, ...]], list[Reject], int, int]:
    reading = FileReading("hubspot_companies", path.name)
    rows: list[tuple[str, ...]] = []
    rejects: list[Reject] = []
    batches = read_csv(DataFile(path), MAPPING, reading, Unpacker(path.parent, 1), batch_rows, block_bytes)
    for batch in batches:
        columns = [batch.columns[name].to_pylist() for name in ("a", "b", "c")]
        assert {len(column) for column in columns} == {batch.rows} and batch.rows + len(batch.rejects) <= batch_rows
        rows += zip(*columns, strict=True)
        rejects += batch.rejects
    return rows, rejects, reading.repaired, reading.first_repaired_line or 0


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "t.csv"


@settings(deadline=None, max_examples=150)
@given(body=DIRTY, block_bytes=st.sampled_from([1, 3, 8, 20, 64, 1 << 20]))
@example(body='1,"x\n', block_bytes=1 << 20)
@example(body='1,x"y,z\n2,"x"\n', block_bytes=8)
@example(body="1,x,y\r", block_bytes=1 << 20)
@example(body='1,"x",y\n"', block_bytes=1 << 20)
def test_random_dirty_files(path: Path, body: str, block_bytes: int) -> None:
    path.write_bytes(b"a,b,c\n" + body.encode())
    assert read(path, block_bytes) == read(path, 0)


@settings(deadline=None, max_examples=75)
@given(body=DIRTY, block_bytes=st.sampled_from([1, 8, 64, 1 << 20]))
@example(body='1,,x,y,\n2,,x,y,z\n"3,,x,y,"\n4,,x,y\n', block_bytes=1 << 20)
def test_random_dirty_files_with_columns_without_a_name(path: Path, body: str, block_bytes: int) -> None:
    path.write_bytes((UNNAMED_HEADER + body).encode())
    assert read(path, block_bytes) == read(path, 0)


@pytest.mark.parametrize("block_bytes", [0, BLOCK_BYTES])
def test_columns_without_a_name(path: Path, block_bytes: int) -> None:
    """As Excel writes them behind a table; a value there costs its row alone."""
    path.write_text(UNNAMED_HEADER + "1,,x,y,\n2,,x,y,stray\n3,,x,y,\n")
    rows, rejects, *_ = read(path, block_bytes)
    assert rows == [("1", "x", "y"), ("3", "x", "y")]
    assert [(one.line, one.reason) for one in rejects] == [(3, "a value in column 5, which has no name in the header")]


def test_long_dirty_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks, clean and dirty ones in turn, bytes that are not UTF-8 among them."""
    monkeypatch.setattr(csv_reader, "_SMALL_BLOCK_BYTES", 1 << 10)
    dice = random.Random(7)
    clean = ["1,x,y\n", '22,"x, y",z\r\n', '3,"two\nlines","a ""b"""\n', "4,,ü\n", "\n"]
    dirty = ['5,"x\n', "6,x\n", '"7,x,y"\n', b"8,M\xfc,y\n".decode("latin-1"), '9,"x"y,z\n', '10,"never, closed\n']
    lines = [dice.choice(clean if dice.random() < 0.99 else dirty) for _ in range(30_000)]
    path.write_bytes(b"a,b,c\n" + "".join(lines).encode().replace(b"8,M\xc3\xbc", b"8,M\xfc"))
    fast, slow = read(path, 1 << 14, 1000), read(path, 0, 1000)
    assert fast == slow and len(fast[0]) > 20_000 and len(fast[1]) > 100 and fast[2] > 20


@pytest.mark.parametrize("block_bytes", [0, BLOCK_BYTES])
def test_long_values_are_values(path: Path, block_bytes: int) -> None:
    """A mail of 140,000 characters; and lines of a value that would be rows by themselves are none."""
    mail, lines = "<p>" * 47_000, "7,zz,y\n" * 200_000
    path.write_bytes(f'a,b,c\n1,{mail},z\n2,"{lines}",z\n3,x,y\n'.encode())
    rows, rejects, *_ = read(path, block_bytes)
    assert rows == [("1", mail, "z"), ("2", lines, "z"), ("3", "x", "y")] and not rejects


def test_a_value_that_no_warehouse_takes_is_one_reject(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert csv_records.LONGEST_FIELD >= BLOCK_BYTES, "or blocks would have to be looked through for longer ones"
    monkeypatch.setattr(csv_records, "LONGEST_FIELD", 2 << 20)
    line = b"7,zz,y\n"
    path.write_bytes(b'a,b,c\n1,"' + line * ((2 << 20) // len(line) + 1) + b'",z\n2,x,y\n')
    rows, rejects, *_ = read(path, BLOCK_BYTES)
    assert rows == [("2", "x", "y")]
    (reject,) = rejects
    assert (reject.line, reject.reason.split(":")[0]) == (2, "a value of more than 2,097,152 characters")
    assert len(reject.content) < 10_000 and reject.content.endswith(" more characters in the file)")


def test_what_one_quote_makes_of_a_whole_file_is_asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be one value or as many rows as it has lines: neither is taken."""
    monkeypatch.setattr("services.ingest.domain.line_buffer.LONGEST_LINE_BYTES", 1 << 20)
    path.write_bytes(b'a,b,c\n1,x,y\n2,"x,y\n' + b"7,zz,y\n" * 400_000)
    with pytest.raises(LineTooLong) as caught:
        read(path, BLOCK_BYTES, 1000)
    assert caught.value.line == 3
    path.write_bytes(path.read_bytes().replace(b"y\n7,zz", b'y\n7,"zz"', 1))
    rows, rejects, *_ = read(path, BLOCK_BYTES, 1000)
    assert (len(rows), [one.line for one in rejects]) == (400_001, [3])


def test_clean_rows_are_not_read_one_by_one() -> None:
    block = b'1,"x, y",z\r\n2,"two\nlines","a ""b"""\n\n3,x'
    (clean,) = parse_block(block, ["a", "b", "c"], ",", is_last=False) or []
    assert (clean.rows.num_rows, clean.lines, block[clean.size :]) == (2, 4, b"3,x")
    assert parse_block(b"3,x,y", ["a", "b", "c"], ",", is_last=True) is not None
    for dirty in (b'1,x"y,z\n', b'1,"x"y,z\n', b"1,x,y\rz\n", b"1,\xfc,y\n", b'1,"x,y\n', b"1,x,\0\n"):
        assert parse_block(dirty, ["a", "b", "c"], ",", is_last=True) is None, dirty


def test_a_line_of_another_width_costs_the_others_nothing() -> None:
    block = b'1,x,y\n\n2,"x\n",y\n"3,x",y\n4,x\n\n5,x,y\n6,x,y,z'
    found = parse_block(block, ["a", "b", "c"], ",", is_last=True) or []
    stretches = [(one.rows.column("a").to_pylist(), one.lines, one.is_broken_next) for one in found]
    assert stretches == [(["1", "2"], 4, True), ([], 0, True), (["5"], 2, True), ([], 0, False)]


@pytest.mark.parametrize("block_bytes", [0, 1 << 14])
@pytest.mark.parametrize("line", ["1,{},y", "1,{}"])
def test_batches_end_where_memory_does(
    path: Path, block_bytes: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and rejects alike; and of a reject only the beginning is kept."""
    monkeypatch.setattr(batching, "BATCH_BYTES", 100_000)
    path.write_text("a,b,c\n" + f"{line}\n".format("x" * 20_000) * 50)
    reading = FileReading("hubspot_companies", path.name)
    batches = list(read_csv(DataFile(path), MAPPING, reading, Unpacker(path.parent, 1), 50_000, block_bytes))
    sizes = [batch.rows + len(batch.rejects) for batch in batches]
    assert sum(sizes) == 50 and max(sizes) <= 11
    assert all(len(reject.content) < 10_000 for batch in batches for reject in batch.rejects)
