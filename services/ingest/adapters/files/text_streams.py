"""Text files as UTF-8, whatever they are encoded in. Bytes without a meaning stay invalid: their rows are rejected."""

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.unpacking import ByteStream, Unpacker, unreadable
from services.ingest.domain.mapping import Encoding

_LOOK_BYTES: Final = 4096
_CHUNK_BYTES: Final = 1 << 20
_UTF8_MARK: Final = b"\xef\xbb\xbf"
# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (_UTF8_MARK, "UTF-8"),
    (b"\xff\xfe", "UTF-16 LE"),
    (b"\xfe\xff", "UTF-16 BE"),
)
# name -> (Python's codec, what becomes of bytes that it can't read). Both ways leave bytes that are not UTF-8.
_CODECS: Final = {
    "UTF-16 LE": ("utf-16-le", "surrogatepass"),
    "UTF-16 BE": ("utf-16-be", "surrogatepass"),
    "Windows-1252": ("cp1252", "surrogateescape"),
    "Latin-1": ("latin-1", "strict"),
}
_NAMES: Final[dict[Encoding, str]] = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16 LE",
    "windows-1252": "Windows-1252",
    "latin-1": "Latin-1",
}


@dataclass(frozen=True)
class TextStream:
    """`read` gives UTF-8. `encoding` is the file's own, `known_by` what told it."""

    read: Callable[[int], bytes]
    encoding: str
    known_by: str


@contextmanager
def open_text(file: DataFile, encoding: Encoding | None, unpacker: Unpacker) -> Iterator[TextStream]:
    """A byte-order mark tells the encoding, else the mapping, else it is UTF-8: nothing is guessed from letters.

    `detect` is the mapping's leave to read a file that isn't UTF-8 from start to end as Windows-1252.

    Raises:
        TerminalError: `file-unreadable`; and as `Unpacker.open`.
    """
    is_utf8 = encoding != "detect" or _is_utf8(file, unpacker.fresh())
    with unpacker.open(file) as stream:
        head = _read_head(stream)
        mark, name = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", None))
        known_by = "its byte-order mark"
        if name is None:
            name, known_by = _without_mark(file, encoding, head, is_utf8)
        if name == "UTF-32":
            raise unreadable(file.name, "it is UTF-32; save it as UTF-8")
        read = _with_head(head[len(mark) :], stream)
        if name != "UTF-8":
            read = _Transcoder(read, *_CODECS[name]).read
        yield TextStream(read, name, known_by)


def _without_mark(file: DataFile, encoding: Encoding | None, head: bytes, is_utf8: bool) -> tuple[str, str]:
    if encoding == "detect":
        return "UTF-8" if is_utf8 else "Windows-1252", "detection, which the mapping allows"
    if encoding is not None:
        return _NAMES[encoding], "the mapping"
    if head.count(0) * 3 > len(head):
        why = "every other byte is zero: UTF-16 without a byte-order mark? Then say `encoding: utf-16` in the mapping"
        raise unreadable(file.name, why)
    return "UTF-8", "default"


def _is_utf8(file: DataFile, unpacker: Unpacker) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with unpacker.open(file) as stream:
        try:
            while chunk := stream.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _read_head(stream: ByteStream) -> bytes:
    """Unpackers may give less than they are asked for."""
    head = b""
    while len(head) < _LOOK_BYTES and (more := stream.read(_LOOK_BYTES - len(head))):
        head += more
    return head


def _with_head(head: bytes, stream: ByteStream) -> Callable[[int], bytes]:
    waiting = [head] if head else []
    return lambda size: waiting.pop() if waiting else stream.read(size)


class _Transcoder:
    def __init__(self, read: Callable[[int], bytes], codec: str, errors: str) -> None:
        self._read = read
        self._decoder = codecs.getincrementaldecoder(codec)(errors)
        self._errors = errors
        self._is_ended = False

    def read(self, size: int) -> bytes:
        while not self._is_ended:
            raw = self._read(size)
            self._is_ended = not raw
            try:
                text = self._decoder.decode(raw, final=self._is_ended)
            except UnicodeDecodeError:  # half a character at the end of the file
                return b"\xff"
            if text:
                return text.encode("utf-8", self._errors)
        return b""
