"""CSV by whole blocks over the same file record by record, which is how all of it was read before. Seconds of CPU."""

import csv
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from benchmarks.result import RUNS, BenchmarkResult
from services.ingest.adapters.files.csv_reader import BLOCK_BYTES, read_csv
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.file_batches import to_source_batch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.raw_schema import source_columns

ROWS = 200_000
BATCH_ROWS = 50_000
_TABLE = "hubspot_web_visits"
_COLUMNS = source_columns(_TABLE)
_MAPPING = TableMapping.model_validate(
    {"files": ["visits"], "key": ["id"], "columns": {name: name for name in _COLUMNS}, "updated_at": "occurred_at"}
)


def run() -> BenchmarkResult:
    """Plain, with every value quoted, and with a line that lacks a column in each thousand."""
    result = BenchmarkResult("files", f"{ROWS:,} rows of {len(_COLUMNS)} columns of CSV, read and mapped: CPU seconds")
    with tempfile.TemporaryDirectory(prefix="gtm-bench-") as folder:
        kinds: tuple[tuple[str, Literal[0, 1], bool], ...] = (
            ("plain", csv.QUOTE_MINIMAL, False),
            ("quoted", csv.QUOTE_ALL, False),
            ("dirty", csv.QUOTE_MINIMAL, True),
        )
        for name, quoting, has_broken in kinds:
            path = Path(folder) / "visits.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, quoting=quoting).writerows(_lines(has_broken=has_broken))
            blocks, records = ([_read(path, size) for _ in range(RUNS)] for size in (BLOCK_BYTES, 0))
            assert {rows for _, rows in (*blocks, *records)} == {ROWS}
            ours, baseline = (statistics.median(seconds for seconds, _ in runs) for runs in (blocks, records))
            result.ratios[name] = round(ours / baseline, 4)
            result.seconds |= {f"{name}_ours": round(ours, 4), f"{name}_baseline": round(baseline, 4)}
            result.figures[f"{name}_rows_per_second"] = round(ROWS / ours)
            result.figures[f"{name}_rows_per_second_record_by_record"] = round(ROWS / baseline)
    return result


def _lines(*, has_broken: bool) -> Iterable[list[str]]:
    yield _COLUMNS
    for number in range(ROWS):
        row = [
            *(str(number), str(number % 5000), f"v{number % 9999}", f"2026-01-{number % 28 + 1:02d}T10:00:00Z"),
            *(f"https://www.example.com/p/{number % 300}?a={number % 7}", f"Page title {number % 300}"),
            *("https://google.com/", "google", "cpc", f"campaign{number % 20}"),
        ]
        yield row[:-1] if has_broken and number % 1000 == 999 else row


def _read(path: Path, block_bytes: int) -> tuple[float, int]:
    """CPU seconds, and rows and rejects."""
    reading, unpacker = FileReading(_TABLE, path.name), Unpacker(path.parent, 1)
    began, rows = time.process_time(), 0
    for batch in read_csv(DataFile(path), _MAPPING, reading, unpacker, BATCH_ROWS, block_bytes):
        rows += to_source_batch(_TABLE, _MAPPING, batch).rows.num_rows + len(batch.rejects)
    return time.process_time() - began, rows
