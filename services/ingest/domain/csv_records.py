"""Splitting a CSV stream into records so that a broken row costs itself and not its neighbours.

A stray quote makes a CSV parser swallow the lines that follow. Here the parser starts again on the line after the one
where the broken record began, so the neighbours are read as the rows that they are.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class CsvRecord:
    """One row; `line` is where it begins in the file, from 1."""

    line: int
    fields: list[str]


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """Text that is no row; bytes that are not UTF-8 appear as `\\xNN` in `content`."""

    line: int
    reason: str
    content: str


class _Lines:
    """Decoded lines for `csv.reader`, remembering those of the current record so that they can be put back."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = enumerate(lines, start=1)
        self._returned: deque[tuple[int, bytes]] = deque()
        self.taken: list[tuple[int, bytes]] = []
        self.is_utf8 = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, raw = self._returned.popleft() if self._returned else next(self._lines)
        if number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        self.taken.append((number, raw))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.is_utf8 = False
            return raw.decode(errors="surrogateescape")

    def begin(self) -> None:
        """A new record starts."""
        self.taken.clear()
        self.is_utf8 = True

    def put_back_all_but_first(self) -> None:
        self._returned.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def split_csv(lines: Iterable[bytes]) -> Iterator[CsvRecord | BrokenRecord]:
    """Records of a comma-separated UTF-8 file; the first is the header and sets the width. Blank lines are no rows.

    Memory stays within one record; a quote that is never closed is given up after `csv.field_size_limit()` characters.
    """
    source = _Lines(lines)
    reader = csv.reader(source, strict=True)
    width: int | None = None
    while True:
        source.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            source.put_back_all_but_first()
            yield _broken(source, _explain(error))
            continue
        if not fields:
            continue
        width = width or len(fields)
        if len(fields) == width and source.is_utf8:
            yield CsvRecord(source.taken[0][0], fields)
        elif len(fields) == width:
            yield _broken(source, "bytes that are not UTF-8: export the file as UTF-8")
        else:
            if _swallowed_a_row(source, width):
                source.put_back_all_but_first()
            yield _broken(source, f"{len(fields)} fields where the header has {width}")


def _swallowed_a_row(source: _Lines, width: int) -> bool:
    """Whether a later line is a whole row by itself: then a stray quote, not a line break in a value, joined them."""
    for _, raw in source.taken[1:]:
        try:
            if len(next(csv.reader([raw.decode(errors="surrogateescape")], strict=True), [])) == width:
                return True
        except csv.Error:
            continue
    return False


def _broken(source: _Lines, reason: str) -> BrokenRecord:
    content = b"".join(raw for _, raw in source.taken).decode(errors="backslashreplace").rstrip("\r\n")
    return BrokenRecord(source.taken[0][0], reason, content)


def _explain(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "bad quoting: a quote is never closed"
    if "field limit" in text:
        return f"bad quoting: a quote is not closed within {csv.field_size_limit()} characters"
    if "new-line character" in text:
        return "a bare carriage return outside quotes, or bytes that are no text: save the file as plain CSV, UTF-8"
    return f"bad quoting: {text}"
