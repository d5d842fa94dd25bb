"""Folders of files through a mapping: nothing lost, nothing changed on the way."""

import csv
import json
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.readers import read_file
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from shared.errors import TerminalError
from tests.ingest.conftest import Query, Sync

MAPPING = """
description: test
tables:
  hubspot_companies:
    files: [companies]
    key: [ID]
    updated_at: changed
    deleted: {column: gone, optional: true}
    columns:
      id: ID
      name: Name
      city: {column: Town, optional: true}
"""
ROWS = [
    {"ID": "1", "Name": 'Müller, "K" & Söhne', "changed": "2026-01-01", "Note": 'two\nlines \\ "q"', "n": "007"},
    {"ID": "2", "Name": "", "changed": "", "Note": "", "n": "1.50"},
]


@pytest.fixture
def read(sync: Sync, sources_dir: Path, files_root: Path) -> Sync:
    jobs = (f"job-{number}" for number in count())

    def run(mode: str = "full", **changed: Any) -> dict[str, Any]:
        changed = {"job_id": next(jobs), **changed}
        options = {"mapping": "test", "path": str(files_root)}
        return sync("files", options, sources_dir=sources_dir, request={"mode": mode}, **changed)

    return run


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("\ufeff" + "\n".join(json.dumps(row) for row in rows), encoding="utf-8")


def write_parquet(path: Path, rows: list[dict[str, str]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("write, suffix", [(write_csv, "csv"), (write_jsonl, "jsonl"), (write_parquet, "parquet")])
def test_each_format_lands_the_same_text(read: Sync, query: Query, files_root: Path, write: Any, suffix: str) -> None:
    write(files_root / f"companies.{suffix}", ROWS)
    (files_root / "people.csv").write_text("id\n1\n")
    result = read()
    assert (result["seen"], result["inserted"], result["unmapped_files"]) == (2, 2, ["people.csv"])
    rows = query("select id, name, city, extra, source_updated_at is null from raw.hubspot_companies order by id")
    assert [row[:3] for row in rows] == [("1", ROWS[0]["Name"], None), ("2", None, None)]
    assert json.loads(rows[0][3]) == {"Note": ROWS[0]["Note"], "changed": "2026-01-01", "n": "007"}
    assert json.loads(rows[1][3]) == {"n": "1.50"}
    assert [row[4] for row in rows] == [False, True]
    assert read()["changed"] == 0


def test_last_of_equal_versions_wins_across_batches(read: Sync, query: Query, files_root: Path) -> None:
    versions = [f"{key},{version},2026-01-01\n" for version in "cab" for key in range(40)]
    (files_root / "companies.csv").write_text("ID,Name,changed\n" + "".join(versions))
    assert read(batch_rows=7)["duplicates"] == 80
    assert query("select distinct name from raw.hubspot_companies") == [("b",)]
    assert read(batch_rows=50)["changed"] == 0


def test_columns_that_change_places_change_nothing(read: Sync, files_root: Path) -> None:
    write_csv(files_root / "companies.csv", ROWS)
    read()
    write_csv(files_root / "companies.csv", [dict(reversed(row.items())) for row in ROWS])
    assert read()["changed"] == 0


def test_deleted_records(read: Sync, query: Query, files_root: Path) -> None:
    (files_root / "companies.csv").write_text("ID,Name,changed,gone\n1,a,,TRUE\n2,b,,false\n3,c,,\n4,d,,maybe\n")
    read()
    assert query("select id, is_deleted from raw.hubspot_companies order by id") == [
        ("1", True),
        ("2", False),
        ("3", False),
        ("4", False),
    ]
    assert '"gone":"maybe"' in query("select extra from raw.hubspot_companies where id = '4'")[0][0]


@pytest.mark.parametrize("batch_rows", [1, 2, 50_000])
def test_broken_rows_are_rejected_and_the_others_land(
    read: Sync, query: Query, files_root: Path, batch_rows: int
) -> None:
    text = b'ID,Name,changed\n1,"two\nlines",\n2,"open,\n3,c,\n4,d\n5,M\xfcller,\n1,again,2026-01-01\n,keyless,\n'
    (files_root / "companies.csv").write_bytes(text)
    result = read(batch_rows=batch_rows)
    counts = {"seen": 7, "inserted": 3, "updated": 0, "unchanged": 0, "duplicates": 1, "rejected": 3}
    assert counts.items() <= result["tables"]["hubspot_companies"].items()
    assert query("select file, line, reason from raw.rejects order by line") == [
        ("companies.csv", 4, "bad quoting: a quote is never closed"),
        ("companies.csv", 6, "2 fields where the header has 3"),
        (
            "companies.csv",
            7,
            "bytes that are not UTF-8: export the file as UTF-8, or name its `encoding` in the mapping",
        ),
    ]
    assert [list(reject.values()) for reject in result["first_rejects"]] == [
        ["hubspot_companies", *row] for row in query("select file, line, reason from raw.rejects order by line")
    ]
    again = read(batch_rows=batch_rows)
    assert (again["changed"], again["rejected"], query("select count(*) from raw.rejects")) == (0, 3, [(3,)])
    assert again["first_rejects"] == result["first_rejects"]


@pytest.mark.parametrize("batch_rows", [1, 4, 50_000])
def test_result_carries_the_first_rejects_without_their_text(read: Sync, files_root: Path, batch_rows: int) -> None:
    (files_root / "companies.csv").write_text("ID,Name,changed\n" + "7,jane@example.com\n" * 8)
    result = read(batch_rows=batch_rows)
    reason = "2 fields where the header has 3"
    assert result["first_rejects"] == [
        {"table": "hubspot_companies", "file": "companies.csv", "line": line, "reason": reason} for line in range(2, 7)
    ]
    assert result["rejected"] == 8 and "jane" not in json.dumps(result)


def test_broken_json_lines_are_rejected(read: Sync, query: Query, files_root: Path) -> None:
    lines = [
        b'{"ID": 9007199254740993, "Name": null, "changed": true, "deep": {"a": [1, 2.50]}}',
        b"{not json}",
        b"[1, 2]",
        b'{"ID": "M\xfc"}',
        b'{"ID": "\\ud800"}',
        b"[" * 100_000,
        b"",
        b'{"ID": 1e400, "Name": "x"}',
    ]
    (files_root / "companies.jsonl").write_bytes(b"\n".join(lines))
    result = read()
    assert (result["seen"], result["inserted"], result["rejected"]) == (7, 2, 5)
    assert [line for (line,) in query("select line from raw.rejects order by line")] == [2, 3, 4, 5, 6]
    rows = query("select id, extra from raw.hubspot_companies order by name nulls first")
    assert [row[0] for row in rows] == ["9007199254740993", "1e400"]
    assert json.loads(rows[0][1]) == {"changed": "true", "deep": '{"a": [1, 2.5]}'}


def test_parquet_of_other_types_becomes_text(read: Sync, query: Query, files_root: Path) -> None:
    columns = {
        "ID": pa.array([1]),
        "Name": pa.array([b"x\xff"]),
        "changed": pa.array([1_700_000_000_000], pa.timestamp("ms", "UTC")),
        "tags": pa.array([["a", "b"]]),
        "ratio": pa.array([0.5]),
    }
    pq.write_table(pa.table(columns), files_root / "companies.parquet")
    read()
    ((key, name, extra, moment),) = query("select id, name, extra, source_updated_at from raw.hubspot_companies")
    assert (key, name, str(moment)) == ("1", "x\\xff", "2023-11-14 22:13:20")
    assert json.loads(extra) == {"changed": "2023-11-14 22:13:20.000Z", "ratio": "0.5", "tags": '["a", "b"]'}


@pytest.mark.parametrize("write, suffix", [(write_csv, "csv"), (write_jsonl, "jsonl"), (write_parquet, "parquet")])
def test_mapping_to_a_column_that_the_file_lacks(read: Sync, files_root: Path, write: Any, suffix: str) -> None:
    write(files_root / f"companies.{suffix}", [{"ID": "1", "names": "a", "changed": ""}])
    with pytest.raises(TerminalError) as caught:
        read()
    for word in (
        f"companies.{suffix}",
        "no column Name",
        "raw.hubspot_companies",
        "ID, names, changed",
    ):
        assert word in caught.value.detail


@pytest.mark.parametrize(
    "content, named",
    [
        (b"", "is empty"),
        (b"a,a\n1,2\n", "names a twice"),
        (b"M\xfc,a\n", "not UTF-8"),
        (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
        (b"a\0,\0b\0", "utf-16"),
        (b'"a,b\n1,2\n', "bad quoting"),
        (b"a,b\r1,2\r", "save the file as plain CSV, UTF-8"),
        (b"\x01\x02\r\x00,\n", "save the file as plain CSV, UTF-8"),
    ],
)
def test_file_without_a_usable_header(read: Sync, files_root: Path, content: bytes, named: str) -> None:
    (files_root / "companies.csv").write_bytes(content)
    with pytest.raises(TerminalError, match=named) as caught:
        read()
    assert "companies.csv" in caught.value.detail and "universal" not in caught.value.detail


def test_parquet_that_is_none(read: Sync, files_root: Path) -> None:
    (files_root / "companies.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(TerminalError, match="companies.parquet can't be read") as caught:
        read()
    assert caught.value.detail.endswith(".") and not caught.value.detail.endswith("..")


def test_file_that_is_gone_when_its_turn_comes(files_root: Path) -> None:
    mapping = TableMapping(files=("companies",), key=("ID",), columns={"id": {"column": "ID"}})
    file, reading = DataFile(files_root / "companies.csv"), FileReading("hubspot_companies", "companies.csv")
    with pytest.raises(TerminalError, match="companies.csv can't be read: No such file"):
        list(read_file(file, mapping, reading, Unpacker(files_root, 1), 10))


@pytest.mark.parametrize(
    "change, named",
    [
        (("key:", "keys:"), "keys"),
        (("hubspot_companies", "hubspot_compenies"), "hubspot_compenies"),
        (("city:", "town:"), "no column town"),
        (("description: test", "description: [unclosed"), "test.yml"),
    ],
)
def test_mapping_that_is_wrong(
    read: Sync, sources_dir: Path, files_root: Path, change: tuple[str, str], named: str
) -> None:
    write_csv(files_root / "companies.csv", ROWS)
    (sources_dir / "test.yml").write_text(MAPPING.replace(*change))
    with pytest.raises(TerminalError) as caught:
        read()
    assert caught.value.code == "mapping-invalid" and named in caught.value.detail
