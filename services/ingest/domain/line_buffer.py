"""A stream of bytes as lines, with a look ahead for whole blocks and a way back to where a record began."""

from collections.abc import Callable
from typing import Final

_CHUNK_BYTES: Final = 1 << 20
_LARGEST_CHUNK_BYTES: Final = 4 << 20
_LINE_COST: Final = 64  # of a line put back, in bytes: a short one takes as long to read again
_MOST_AGAIN: Final = 256 << 20  # some seconds
_AGAIN_PER_BYTE: Final = 4
LONGEST_LINE_BYTES: Final = 32 << 20  # a parser takes four bytes for a character of it, and an API has 512 MB


class LineTooLong(ValueError):
    """No record ends within `LONGEST_LINE_BYTES`: that is no file of rows, and would not fit into memory."""

    def __init__(self, line: int) -> None:
        """`line`: where the record begins."""
        super().__init__(line)
        self.line = line


class TangledQuotes(ValueError):
    """Lines are read again and again, each as the beginning of a record that the rest of the file belongs to."""

    def __init__(self, line: int) -> None:
        """`line`: where the last such record begins."""
        super().__init__(line)
        self.line = line


class LineBuffer:
    """Holds what was read and not yet left behind: from the start of the current record on."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data = b""
        self._at = 0
        self._record_at = 0
        self._record_line = 1
        self._is_ended = False
        self._again = 0
        self.line = 1
        """Number of the next line, from 1."""
        self.position = 0
        """Bytes before the next line."""

    def begin_record(self) -> None:
        """A record starts at the next line; what lies before is left behind."""
        self._record_at, self._record_line = self._at, self.line

    def record(self) -> bytes:
        """The bytes taken since the record began."""
        return self._data[self._record_at : self._at]

    @property
    def record_size(self) -> int:
        """Bytes taken since the record began."""
        return self._at - self._record_at

    def take_line(self) -> bytes:
        """The next line with its ending; empty at the end of the stream.

        Raises:
            LineTooLong: and whatever reading raises.
        """
        searched = self._at
        while (end := self._data.find(b"\n", searched)) < 0 and not self._is_ended:
            searched = len(self._data) - self._record_at
            self._fill()
        end = len(self._data) if end < 0 else end + 1
        line = self._data[self._at : end]
        self._at = end
        self.position += len(line)
        self.line += bool(line)
        return line

    def put_back_all_but_first_line(self) -> None:
        """The record is to be its first line alone.

        Raises:
            TangledQuotes: what was put back in all takes longer than reading a file may: a file that is made so can
                make each of its lines cost the whole rest.
        """
        end = self._data.find(b"\n", self._record_at, self._at)
        if end >= 0:
            size, lines = self._at - (end + 1), self.line - (self._record_line + 1)
            self.position -= size
            self._at, self.line = end + 1, self._record_line + 1
            self._again += size + lines * _LINE_COST
            if self._again > max(_MOST_AGAIN, self.position * _AGAIN_PER_BYTE):
                raise TangledQuotes(self._record_line)

    def look_ahead(self, size: int) -> tuple[bytes, bool]:
        """The next `size` bytes, and whether the stream ends with them. Leaves behind what lies before."""
        self.begin_record()
        while len(self._data) - self._at < size and not self._is_ended:
            self._fill()
        return self._data[self._at : self._at + size], self._is_ended and len(self._data) - self._at <= size

    def skip(self, size: int, lines: int) -> None:
        """Leave behind what `look_ahead` gave; `lines` are those that `size` bytes hold."""
        self._at += size
        self.position += size
        self.line += lines

    def _fill(self) -> None:
        kept = self._data[self._record_at :]
        if len(kept) > LONGEST_LINE_BYTES:
            raise LineTooLong(self._record_line)
        chunk = self._read(min(max(_CHUNK_BYTES, len(kept)), _LARGEST_CHUNK_BYTES))
        self._is_ended = not chunk
        self._data = kept + chunk
        self._at -= self._record_at
        self._record_at = 0
