"""Whole blocks of clean CSV by pyarrow. What is not clean is left to `domain/csv_records.py`: it gives the same rows.

A block is clean when every quote is where RFC 4180 has it, every carriage return belongs to a line's end, and every
record has the header's width: then there is one way to read it, and both readers take it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

_LF, _CR, _QUOTE = 10, 13, 34


@dataclass(frozen=True)
class Stretch:
    """Records one after the other, and the bytes and lines they took. `is_broken_next`: a broken one follows."""

    rows: pa.Table
    size: int
    lines: int
    is_broken_next: bool = False


def parse_block(block: bytes, columns: Sequence[str | None], delimiter: str, *, is_last: bool) -> list[Stretch] | None:
    """Stretches of clean records from the start of a block, which is where a record begins, and single broken lines.

    None where no record ends in the block, or more is wrong with it than the width of some lines. A column that is
    None has no name: it is left out, and a block with a value there is not clean.
    """
    data = np.frombuffer(block, np.uint8)
    line_ends = np.flatnonzero(data == _LF)
    quotes = np.flatnonzero(data == _QUOTE)
    size = _record_end(block, line_ends, quotes, is_last=is_last)
    quotes = quotes[: np.searchsorted(quotes, size)]
    if not size or b"\0" in block or not _is_well_quoted(data[:size], quotes, ord(delimiter)):
        return None
    if b"\r" in block and not _are_returns_paired(data[:size]):
        return None
    rows = _parse(memoryview(block)[:size], columns, delimiter, has_quotes=bool(len(quotes)))
    if rows is not None:
        lines = int(np.searchsorted(line_ends, size)) + (block[size - 1] != _LF)
        return [Stretch(rows, size, lines)]
    return _parse_around(_Records(block[:size], data[:size], line_ends, quotes, ord(delimiter)), columns, delimiter)


class _Records:
    """Where the records of a well-quoted block begin and end, and which of them have another width."""

    def __init__(
        self,
        block: bytes,
        data: NDArray[np.uint8],
        line_ends: NDArray[np.intp],
        quotes: NDArray[np.intp],
        delimiter: int,
    ) -> None:
        self.block = block
        self.has_quotes = bool(len(quotes))
        self._line_ends = line_ends[: np.searchsorted(line_ends, len(block))]
        ends = _outside(self._line_ends, quotes) + 1
        self.ends = ends if len(ends) and ends[-1] == len(block) else np.append(ends, len(block))
        self.starts = np.concatenate(([0], self.ends[:-1]))
        delimiters = _outside(np.flatnonzero(data == delimiter), quotes)
        self.delimiters = np.searchsorted(delimiters, self.ends) - np.searchsorted(delimiters, self.starts)
        self.is_blank = (data[self.starts] == _LF) | (
            (self.ends - self.starts == 2) & (data[self.starts] == _CR) & (data[self.ends - 1] == _LF)
        )

    def lines_between(self, start: int, end: int) -> int:
        """Lines of the bytes from `start` to `end`, both at the border of a record."""
        whole = int(np.searchsorted(self._line_ends, end) - np.searchsorted(self._line_ends, start))
        return whole + (end > start and self.block[end - 1] != _LF)


def _parse_around(records: _Records, columns: Sequence[str | None], delimiter: str) -> list[Stretch] | None:
    """The block without the lines of another width, which the other reader is to judge one by one."""
    broken = np.flatnonzero((records.delimiters != len(columns) - 1) & ~records.is_blank)
    starts, ends = records.starts[broken].tolist(), records.ends[broken].tolist()
    is_single = all(records.lines_between(start, end) == 1 for start, end in zip(starts, ends, strict=True))
    if not starts or len(starts) > len(records.ends) / 2 or not is_single:
        return None
    borders = list(zip([0, *ends], [*starts, len(records.block)], strict=True))
    left = b"".join(records.block[start:end] for start, end in borders)
    rows = _parse(memoryview(left), columns, delimiter, has_quotes=records.has_quotes)
    if rows is None:
        return None
    is_row = ~records.is_blank
    is_row[broken] = False
    counted = np.concatenate(([0], np.cumsum(is_row)))
    stretches = []
    for number, (start, end) in enumerate(borders):
        first, last = (int(counted[np.searchsorted(records.ends, place, "right")]) for place in (start, end))
        is_broken_next = number < len(starts)
        lines = records.lines_between(start, end)
        stretches.append(Stretch(rows.slice(first, last - first), end - start, lines, is_broken_next))
    return stretches


def _outside(positions: NDArray[np.intp], quotes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those that are in no quotes."""
    return positions if not len(quotes) else positions[np.searchsorted(quotes, positions) % 2 == 0]


def _record_end(block: bytes, line_ends: NDArray[np.intp], quotes: NDArray[np.intp], *, is_last: bool) -> int:
    """Behind the last line end that is in no quotes."""
    if is_last:
        return len(block)
    outside = _outside(line_ends, quotes)
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


def _parse(block: memoryview, columns: Sequence[str | None], delimiter: str, *, has_quotes: bool) -> pa.Table | None:
    names = [f"\0{place}" if name is None else name for place, name in enumerate(columns)]
    # No look at the values' lengths: a block is smaller than the longest that is taken.
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
    unnamed = [place for place, name in enumerate(columns) if name is None]
    if not unnamed:
        return rows
    if any(pc.any(pc.not_equal(rows.column(place), "")).as_py() for place in unnamed):
        return None
    return rows.select([place for place, name in enumerate(columns) if name is not None])
