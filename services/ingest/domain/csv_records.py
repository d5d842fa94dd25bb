"""Splitting a CSV stream into records so that a broken row costs itself and not its neighbours.

A stray quote makes a CSV parser swallow the lines that follow. Here the parser starts again on the line after the one
where the broken record began, so the neighbours are read as the rows that they are.
"""

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from services.ingest.domain.file_rejects import cut
from services.ingest.domain.line_buffer import LONGEST_LINE_BYTES, LineBuffer

LONGEST_FIELD: Final = 16 << 20
"""Characters of a value: more than that, warehouses may not take."""
_LONG_MEND: Final = "mend the quotes that open and close it, or leave it out of the export"

# Of this process. The parser is to give up no field by itself, since only its end tells whether its quotes are right:
# the buffer ends a record that does not end.
csv.field_size_limit(4 * LONGEST_LINE_BYTES)


@dataclass(frozen=True, slots=True)
class CsvRecord:
    """One row; `line` is where it begins in the file, from 1. Repaired: quotes around the whole row were taken off."""

    line: int
    fields: list[str]
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """Text that is no row, as far as it is kept; bytes that can't be decoded appear as `\\xNN` in `content`."""

    line: int
    reason: str
    content: str


class CsvSplitter:
    """Records after the header, one by one. Blank lines are no rows.

    Memory stays within one record. A quote that is never closed costs its line; where that can't be told within
    `LONGEST_LINE_BYTES`, since what follows may be one value or a million rows, nothing of the file is taken.
    """

    def __init__(
        self,
        buffer: LineBuffer,
        width: int,
        *,
        delimiter: str = ",",
        encoding: str = "UTF-8",
        unnamed: Collection[int] = (),
    ) -> None:
        """`encoding` is the file's, for messages: what comes in is UTF-8, bytes without a meaning left as they were.

        `unnamed`: places of columns without a name. A value there has no place to go; without one they are left out.
        """
        self._buffer = buffer
        self._width = width
        self._delimiter = delimiter
        self._encoding = encoding
        self._unnamed = frozenset(unnamed)
        self._is_decoded = True
        self._reader = csv.reader(_Texts(self), delimiter=delimiter, strict=True)

    def next_record(self) -> CsvRecord | BrokenRecord | None:
        """None at the end of the stream; the buffer then stands where the record ended.

        Raises:
            LineTooLong: from the buffer.
        """
        while True:
            self._buffer.begin_record()
            self._is_decoded = True
            line = self._buffer.line
            try:
                fields = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                self._buffer.put_back_all_but_first_line()
                return self._broken(line, explain(error))
            if fields:
                return self._judge(line, fields)

    def take_text(self) -> str:
        """The next line for `csv.reader`; empty at the end."""
        raw = self._buffer.take_line()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._is_decoded = False
            return raw.decode(errors="surrogateescape")

    def _judge(self, line: int, fields: list[str]) -> CsvRecord | BrokenRecord:
        if self._buffer.record_size > LONGEST_FIELD and max(map(len, fields)) > LONGEST_FIELD:
            return self._broken(line, f"a value of more than {LONGEST_FIELD:,} characters: {_LONG_MEND}")
        width = len(fields)
        is_repaired = False
        if width == 1 < self._width:
            unwrapped = unwrap(fields[0], self._delimiter)
            if unwrapped is not None and len(unwrapped) == self._width:
                fields, is_repaired = unwrapped, True
        if len(fields) == self._width and self._is_decoded:
            return self._without_unnamed(line, fields, is_repaired)
        if len(fields) == self._width:
            return self._broken(line, f"bytes that are not {self._encoding}: {_encoding_mend(self._encoding)}")
        if self._swallowed_a_row():
            self._buffer.put_back_all_but_first_line()
        return self._broken(line, f"{width} fields where the header has {self._width}")

    def _without_unnamed(self, line: int, fields: list[str], is_repaired: bool) -> CsvRecord | BrokenRecord:
        if self._unnamed:
            stray = next((place for place in sorted(self._unnamed) if fields[place]), None)
            if stray is not None:
                return self._broken(line, f"a value in column {stray + 1}, which has no name in the header")
            fields = [value for place, value in enumerate(fields) if place not in self._unnamed]
        return CsvRecord(line, fields, is_repaired)

    def _swallowed_a_row(self) -> bool:
        """Whether a later line is a whole row by itself: a stray quote, not a line break in a value, joined them."""
        for raw in self._buffer.record().split(b"\n")[1:]:
            try:
                text = raw.decode(errors="surrogateescape")
                fields = next(csv.reader([text], delimiter=self._delimiter, strict=True), [])
            except csv.Error:
                continue
            if len(fields) == self._width:
                return True
        return False

    def _broken(self, line: int, reason: str) -> BrokenRecord:
        content = self._buffer.record().decode(errors="backslashreplace").rstrip("\r\n")
        return BrokenRecord(line, reason, cut(content))


class _Texts:
    def __init__(self, splitter: CsvSplitter) -> None:
        self._splitter = splitter

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._splitter.take_text()
        if not text:
            raise StopIteration
        return text


def unwrap(text: str, delimiter: str) -> list[str] | None:
    """The fields of a row that an export has quoted as a whole, `"1,""a b"",x"`; None where `text` is no one row."""
    try:
        # Not splitlines(), which also splits at characters that are no line ends to CSV.
        lines = [f"{line}\n" for line in text.split("\n")]
        records = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def explain(error: csv.Error) -> str:
    """What is wrong with a row, in words that don't need the parser's."""
    text = str(error)
    if "unexpected end" in text:
        return "bad quoting: a quote is never closed"
    if "new-line character" in text:
        return "a bare carriage return outside quotes, or bytes that are no text: save the file as plain CSV, UTF-8"
    return f"bad quoting: {text}"


def _encoding_mend(encoding: str) -> str:
    if encoding == "UTF-8":
        return "export the file as UTF-8, or name its `encoding` in the mapping"
    return "export the file as UTF-8, or mend `encoding` in the mapping"
