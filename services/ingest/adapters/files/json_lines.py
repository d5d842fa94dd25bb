"""One JSON object a line as batches of text columns."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from services.ingest.adapters.files.batching import BATCH_BYTES, narrow
from services.ingest.adapters.files.columns import name_some, require_width, take_columns
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.text_streams import open_text
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.file_batches import FileBatch, Number
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.file_rejects import file_reject
from services.ingest.domain.line_buffer import LineBuffer
from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.sources import Reject


def read_json_lines(
    file: DataFile, mapping: TableMapping, reading: FileReading, unpacker: Unpacker, batch_rows: int
) -> Iterator[FileBatch]:
    """A line may leave out columns. Each line's are matched with the mapping whatever the others have.

    A batch has all columns that any line had so far: the more there are, the fewer rows it has.
    """

    @lru_cache(maxsize=1024)
    def names_of(keys: tuple[str, ...]) -> list[str]:
        known = dict.fromkeys(reading.columns)
        known.update(dict.fromkeys(take_columns(file, mapping, keys, reading)))
        names, reading.columns = list(reading.columns), tuple(known)
        require_width(file, len(known))
        return names

    rows: list[dict[str, str | None]] = []
    rejects: list[Reject] = []
    size = 0
    with open_text(file, mapping.encoding, unpacker) as text:
        reading.encoding, reading.encoding_known_by = text.encoding, text.known_by
        buffer = LineBuffer(text.read)
        while True:
            number = buffer.line
            buffer.begin_record()
            line = buffer.take_line()
            if line.strip():
                try:
                    row = parse_json_line(line)
                    rows.append(dict(zip(names_of(tuple(row)), row.values(), strict=True)))
                except (ValueError, RecursionError) as error:
                    content = line.decode(errors="backslashreplace").rstrip("\r\n")
                    rejects.append(file_reject(file.name, number, _explain(error, text.encoding), content))
            size += len(line)
            most_rows = narrow(batch_rows, len(reading.columns))
            if not line or len(rows) + len(rejects) >= most_rows or size > BATCH_BYTES:
                yield to_union_batch(rows, rejects, mapping)
                rows, rejects, size = [], [], 0
            if not line:
                return


def parse_json_line(line: bytes) -> dict[str, str | None]:
    """An object's values as text: numbers with the digits that the file has, nested values as JSON.

    Raises:
        ValueError, RecursionError: it is none.
    """
    text = line.decode()
    row = json.loads(
        text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_require_single_names
    )
    if not isinstance(row, dict):
        raise ValueError("the line is JSON, but not an object")
    if "\\u" in text:
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is no text: UnicodeEncodeError
    nested = [name for name, value in row.items() if isinstance(value, dict | list)]
    if nested:
        typed = json.loads(text)
        row.update({name: json.dumps(typed[name], ensure_ascii=False) for name in nested})
    return {name: _to_text(value) for name, value in row.items()}


def _require_single_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = sorted(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the object names {name_some(twice)} twice; export each value under a name of its own")
    return found


def _to_text(value: Any) -> str | None:
    return ("true" if value else "false") if isinstance(value, bool) else value


def to_union_batch(rows: list[dict[str, str | None]], rejects: list[Reject], mapping: TableMapping) -> FileBatch:
    """Every column that a row has; null where another lacks it."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    numbers = {
        name: pa.array([isinstance(row.get(name), Number) for row in rows], pa.bool_())
        for name in names.keys() & mapping.comma_columns()
    }
    return FileBatch(len(rows), columns, tuple(rejects), numbers)


def _explain(error: Exception, encoding: str) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    if isinstance(error, UnicodeError):
        return f"bytes that are not {encoding}: export the file as UTF-8"
    return "not JSON: nested too deeply" if isinstance(error, RecursionError) else str(error)
