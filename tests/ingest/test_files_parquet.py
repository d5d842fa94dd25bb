"""Parquet: columns of every type as text that loses nothing, in batches that fit into memory."""

import datetime
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.ingest.adapters.files import batching
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError
from tests.ingest.folder_reading import FolderReading, ReadFolder, read_folder

MAPPING = """
description: test
tables:
  hubspot_companies:
    files: [companies]
    key: [ID]
    columns:
      id: ID
      name: {column: Name, optional: true}
      annualrevenue: {column: Revenue, optional: true, decimal: comma}
"""


@pytest.fixture
def read(settings: IngestSettings, tmp_path: Path, files_root: Path) -> ReadFolder:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "test.yml").write_text(MAPPING)

    def run(columns: dict[str, Any], **options: Any) -> FolderReading:
        pq.write_table(pa.table(columns), files_root / "companies.parquet")
        return read_folder(settings.model_copy(update={"sources_dir": folder}), files_root, **options)

    return run


def extra(result: FolderReading) -> list[dict[str, str]]:
    return [json.loads(row["extra"] or "{}") for row in result.rows]


@pytest.mark.parametrize(
    "kind, value, text",
    [
        (pa.float64(), 12345678901.0, "12345678901"),
        (pa.float64(), 9007199254740991.0, "9007199254740991"),
        (pa.float64(), 1e20, "100000000000000000000"),
        (pa.float64(), -12345678901.25, "-12345678901.25"),
        (pa.float64(), 1e-7, "0.0000001"),
        (pa.float64(), 2.0, "2"),
        (pa.float32(), 1.5e10, "15000000000"),
        (pa.decimal128(38, 10), Decimal("1e-10"), "0.0000000001"),
        (pa.dictionary(pa.int32(), pa.float64()), 12345678901.0, "12345678901"),
        (pa.dictionary(pa.int32(), pa.binary()), b"M\xfc", "M\\xfc"),
        (pa.binary(2), b"M\xfc", "M\\xfc"),
        (pa.uuid(), uuid.UUID(int=7).bytes, "00000000-0000-0000-0000-000000000007"),
        (pa.json_(), '{"a":1}', '{"a":1}'),
        (pa.date32(), datetime.date(2026, 3, 5), "2026-03-05"),
    ],
    ids=str,
)
def test_each_type_as_text(read: ReadFolder, kind: pa.DataType, value: Any, text: str) -> None:
    result = read({"ID": ["1", "2"], "x": pa.array([value, None], kind)})
    assert extra(result) == [{"x": text}, {}]


def test_ids_that_pandas_holds_as_numbers_beside_missing_ones(read: ReadFolder) -> None:
    ids = pa.array([12345678901.0, 12345678902.0, None, 3.0], pa.float64())
    assert [row["id"] for row in read({"ID": ids}).rows] == ["12345678901", "12345678902", None, "3"]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()]
)
def test_decimal_commas_in_text_of_any_kind(read: ReadFolder, kind: pa.DataType) -> None:
    result = read({"ID": ["1", "2"], "Revenue": pa.array(["12.500", "1,5"], kind)})
    assert [row["annualrevenue"] for row in result.rows] == ["12500", "1.5"]
    numbers = pa.array([12.5, 7.0]).dictionary_encode()
    assert [row["annualrevenue"] for row in read({"ID": ["1", "2"], "Revenue": numbers}).rows] == ["12.5", "7"]


def test_a_type_without_text_is_named(read: ReadFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(column: pa.Array) -> pa.Array:
        raise pa.ArrowNotImplementedError("Unsupported cast")

    monkeypatch.setattr("services.ingest.adapters.files.parquet_reader._to_text", refuse)
    with pytest.raises(TerminalError, match="its column ID is of type string, which has no text"):
        read({"ID": ["1"]})


@pytest.mark.parametrize("is_dictionary", [True, False])
def test_batches_end_where_memory_does(read: ReadFolder, monkeypatch: pytest.MonkeyPatch, is_dictionary: bool) -> None:
    """A dictionary of one long text is small in the file and long in its rows."""
    monkeypatch.setattr(batching, "BATCH_BYTES", 2_000_000)
    notes = pa.array(["n" * 5000] * 3000)
    result = read({"ID": list(map(str, range(3000))), "Name": notes.dictionary_encode() if is_dictionary else notes})
    assert [row["id"] for row in result.rows] == list(map(str, range(3000)))
    assert max(result.batches) == 1024


@pytest.mark.parametrize("batch_rows", [1, 7, 1024, 2500])
def test_any_batch_size_gives_the_same(read: ReadFolder, batch_rows: int) -> None:
    result = read({"ID": list(map(str, range(2500)))}, batch_rows=batch_rows)
    assert [row["id"] for row in result.rows] == list(map(str, range(2500)))
    assert max(result.batches) == min(batch_rows, 2500)
