"""Files that are small on disk and endless when read, and a process of its own that reads them within a memory limit.

`python -m tests.ingest.bombs FOLDER` reads each file of the folder by itself and writes what became of it, a JSON
object a line.
"""

import gzip
import io
import json
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.ingest.adapters.files.plan import FilesOptions
from services.ingest.adapters.files.source import FilesSource
from services.ingest.domain import line_buffer
from services.ingest.domain.sources import SourceBatch, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import GtmError
from tests.ingest.workbooks import Raw, write_workbook

LIMIT_MB: Final = 16  # of what packed files may unpack to
MEMORY_BYTES: Final = 3 << 30  # of address space: a bomb that goes off is a MemoryError, or ends the process
MAPPING = """
description: bombs
tables:
  hubspot_companies:
    files: ["*"]
    key: [ID]
    columns: {id: ID, name: {column: Name, optional: true}}
"""
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_DOCTYPE = f'<!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]>'


def zipped(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def gzip_of_one_letter() -> bytes:
    return gzip.compress(b"ID,Name\n1," + b"a" * (20 << 20))


def gzip_of_many_rows() -> bytes:
    return gzip.compress(b"ID,Name\n" + b"1,aaaa\n" * (20 << 17))


def zip_of_a_zip() -> bytes:
    inner = zipped(**{"x.csv": b"ID,Name\n" + b"1,a\n" * 1000})
    return zipped(**{"inner.zip": inner, "../../outside.csv": "ID,Name\n1,outside\n"})


def parquet_of_one_long_value() -> bytes:
    """2 MB that 5,000 rows name: 10 GB of text."""
    words = pa.array(["x" * (2 << 20)])
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), words)
    return _parquet(pa.table({"ID": pa.array(map(str, range(5000))), "Name": names}), dictionary_pagesize_limit=1 << 30)


def parquet_of_lists_of_one_value() -> bytes:
    words = pa.array(["x" * (1 << 20)])
    items = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), words)
    lists = pa.ListArray.from_arrays(pa.array([0, 50_000], pa.int32()), items)
    return _parquet(pa.table({"ID": ["1"], "Name": lists}), dictionary_pagesize_limit=1 << 30)


def parquet_of_nothing() -> bytes:
    return _parquet(pa.table({"ID": pa.nulls(6_000_000, pa.int32())}))


def parquet_of_one_prefix() -> bytes:
    """Each value is the one before and one letter."""
    names = pa.array(["x" * (1 << 19) + str(number) for number in range(40)])
    table = pa.table({"ID": pa.array(map(str, range(40))), "Name": names})
    return _parquet(table, use_dictionary=False, column_encoding={"Name": "DELTA_BYTE_ARRAY", "ID": "PLAIN"})


def parquet_of_a_large_page() -> bytes:
    return _parquet(pa.table({"ID": pa.array(np.zeros(20 << 20, np.int8))}), use_dictionary=False)


def workbook_of_one_long_text() -> bytes:
    """4 MB that 1,000 cells name: 4 GB."""
    rows = [["ID", "Name"], *[[str(number), Raw(' t="s"><v>0</v></c>')] for number in range(1000)]]
    texts = f'<sst xmlns="{_MAIN}"><si><t>{"x" * (4 << 20)}</t></si></sst>'
    return _with_part(write_workbook({"Sheet1": rows}), "xl/sharedStrings.xml", texts)


def workbook_that_laughs() -> bytes:
    book = write_workbook({"Sheet1": [["ID"], ["1"]]})
    return _with_part(book, "xl/workbook.xml", f"<?xml version='1.0'?>{_DOCTYPE}<workbook>&l9;</workbook>")


def sheet_that_laughs() -> bytes:
    sheet = (
        f"<?xml version='1.0'?>{_DOCTYPE}<worksheet><sheetData><row><c><v>&l9;</v></c></row></sheetData></worksheet>"
    )
    return _with_part(write_workbook({"Sheet1": [["ID"], ["1"]]}), "xl/worksheets/sheet1.xml", sheet)


def lines_of_new_names() -> bytes:
    return b"".join(b'{"ID":"1","n%d":"x"}\n' % number for number in range(6_000))


def line_of_one_name() -> bytes:
    return b'{"ID":"1",' + b",".join(b'"n%d":1,"n%d":2' % (number, number) for number in range(60_000)) + b"}\n"


def line_of_brackets() -> bytes:
    return b'{"ID":"1","Name":' + b"[" * 1_000_000 + b"}\n"


def header_of_one_name() -> bytes:
    return b"ID" + b",a" * 400_000 + b"\n1\n"


def header_without_names() -> bytes:
    return b"ID" + b"," * 900_000 + b"\n1\n"


def lines_that_never_close() -> bytes:
    """Each line closes the quote of the one before and opens its own: whoever begins there reads to the end."""
    return b"ID,Name\n" + b'a","\n' * 200_000


BOMBS: Final[dict[str, tuple[str, Callable[[], bytes], str]]] = {
    # file -> (what the sync says of it, how it is made, a part of the mend)
    "gzip-letter.csv.gz": ("file-too-large", gzip_of_one_letter, "GTM_FILES_MAX_UNPACKED_MB"),
    "gzip-rows.csv.gz": ("file-too-large", gzip_of_many_rows, "GTM_FILES_MAX_UNPACKED_MB"),
    "zip.zip": ("read", zip_of_a_zip, "1 rows"),
    "one-value.parquet": ("file-too-large", parquet_of_one_long_value, "GTM_FILES_MAX_UNPACKED_MB"),
    "lists.parquet": ("file-unreadable", parquet_of_lists_of_one_value, "smaller row groups"),
    "nothing.parquet": ("file-too-large", parquet_of_nothing, "GTM_FILES_MAX_UNPACKED_MB"),
    "prefix.parquet": ("file-too-large", parquet_of_one_prefix, "GTM_FILES_MAX_UNPACKED_MB"),
    "one-text.xlsx": ("file-unreadable", workbook_of_one_long_text, "more than 1024 MB"),
    "laughs.xlsx": ("file-unreadable", workbook_that_laughs, "as a workbook"),
    "laughing-sheet.xlsx": ("file-unreadable", sheet_that_laughs, "no plain XML"),
    "names.jsonl": ("file-unreadable", lines_of_new_names, "more than 4,096 columns"),
    "name.jsonl": ("read", line_of_one_name, "0 rows, 1 rejects"),
    "brackets.jsonl": ("read", line_of_brackets, "0 rows, 1 rejects"),
    "header.csv": ("file-unreadable", header_of_one_name, "columns"),
    "blank-header.csv": ("file-unreadable", header_without_names, "columns"),
    "quotes.csv": ("file-unreadable", lines_that_never_close, "never close"),
}
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def _parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd", row_group_size=1 << 40, **options)
    return file.getvalue()


def _with_part(book: bytes, name: str, content: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    return zipped(**{**parts, name: content})


def read(folder: Path, sources: Path) -> dict[str, Any]:
    """What a sync makes of the one file of a folder, in which time, with how much memory so far."""
    settings = IngestSettings.model_validate(
        {
            "GTM_DATA_DIR": folder.parent / "var",
            "GTM_FILES_ROOTS": str(folder),
            "GTM_SOURCES_DIR": sources,
            "GTM_FILES_MAX_UNPACKED_MB": LIMIT_MB,
        }
    )
    started = time.monotonic()
    try:
        run = SyncRun("job-1", "full", datetime.now(UTC))
        source = FilesSource(FilesOptions(mapping="bombs", path=str(folder)), settings, run)
        rows = rejects = 0
        for event in source.read(50_000):
            if isinstance(event, SourceBatch):
                rows, rejects = rows + event.rows.num_rows, rejects + len(event.rejects)
        code, detail = "read", f"{rows} rows, {rejects} rejects"
    except GtmError as error:
        code, detail = error.code, error.detail
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    seconds = round(time.monotonic() - started, 2)
    return {"file": folder.name, "code": code, "detail": detail[:2000], "seconds": seconds, "peak_mb": peak}


if __name__ == "__main__":
    # Of a size that a test waits for; the same count of bytes that are read again ends it.
    line_buffer._MOST_AGAIN = 16 << 20  # type: ignore[misc]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    root = Path(sys.argv[1])
    for one in sorted(path for path in (root / "files").iterdir()):
        print(json.dumps(read(one, root / "sources")), flush=True)
