"""Whole blocks of clean CSV by pyarrow. What is not clean is left to `domain/csv_records.py`: it gives the same rows.

A block is clean when every quote is where RFC 4180 has it, every carriage return belongs to a line's end, and every
record has the header's width: then there is one way to read it, and both readers take it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

_LF, _CR, _QUOTE = 10, 13, 34


@dataclass(frozen=True)
class CleanBlock:
    """Whole records from the start of a block: how many bytes and lines they took."""

    rows: pa.Table
    size: int
    lines: int


def parse_clean_block(block: bytes, names: Sequence[str], delimiter: str, *, is_last: bool) -> CleanBlock | None:
    """None where the block is not clean, or no record ends in it. It begins where a record does."""
    data = np.frombuffer(block, np.uint8)
    line_ends = np.flatnonzero(data == _LF)
    quotes = np.flatnonzero(data == _QUOTE)
    size = _record_end(block, line_ends, quotes, is_last=is_last)
    quotes = quotes[: np.searchsorted(quotes, size)]
    if not size or b"\0" in block or not _is_well_quoted(data[:size], quotes, ord(delimiter)):
        return None
    if b"\r" in block and not _are_returns_paired(data[:size]):
        return None
    rows = _parse(memoryview(block)[:size], names, delimiter, has_quotes=bool(len(quotes)))
    if rows is None:
        return None
    lines = int(np.searchsorted(line_ends, size))
    return CleanBlock(rows, size, lines + (block[size - 1] != _LF))


def _record_end(block: bytes, line_ends: NDArray[np.intp], quotes: NDArray[np.intp], *, is_last: bool) -> int:
    """Behind the last line end that is in no quotes."""
    if is_last:
        return len(block)
    outside = line_ends if not len(quotes) else line_ends[np.searchsorted(quotes, line_ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _is_well_quoted(data: NDArray[np.uint8], quotes: NDArray[np.intp], delimiter: int) -> bool:
    """Opening quotes begin a field, closing ones end it; a doubled one is a closing and an opening side by side."""
    if not len(quotes):
        return True
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening == 0, _LF, data[opening - 1])
    behind = np.where(closing == len(data) - 1, _LF, data[np.minimum(closing + 1, len(data) - 1)])
    is_begin = (before == delimiter) | (before == _LF) | (before == _QUOTE)
    is_end = (behind == delimiter) | (behind == _LF) | (behind == _CR) | (behind == _QUOTE)
    return bool(is_begin.all() and is_end.all())


def _are_returns_paired(data: NDArray[np.uint8]) -> bool:
    returns = np.flatnonzero(data == _CR)
    return bool(len(returns) == 0 or (returns[-1] + 1 < len(data) and (data[returns + 1] == _LF).all()))


def _parse(block: memoryview, names: Sequence[str], delimiter: str, *, has_quotes: bool) -> pa.Table | None:
    try:
        rows = arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(block)),
            read_options=arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, quote_char='"' if has_quotes else False, newlines_in_values=has_quotes
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:  # a record of another width, bytes that are not UTF-8, nothing but blank lines
        return None
    # The other reader gives such a field up: most often a quote that was never meant to open it.
    longest = max((pc.max(pc.binary_length(column)).as_py() or 0 for column in rows.columns), default=0)
    return rows if longest <= csv.field_size_limit() else None
