"""Opening files and members as streams of bytes, within a bound on what unpacking may give."""

import errno
import gzip
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

from services.ingest.adapters.files.data_files import DataFile
from shared.errors import TerminalError

_MEGABYTE: Final = 1 << 20


class ByteStream(Protocol):
    """The one thing that readers of text need."""

    def read(self, size: int, /) -> bytes: ...


class Unpacker:
    """The files of one reading. What its packed ones give in all is bounded: a kilobyte can hold a terabyte.

    The bound counts what really comes, whatever an archive says of itself.
    """

    def __init__(self, folder: Path, limit_megabytes: int, memory_megabytes: int = 1024) -> None:
        """`folder`: on whose disk a packed file waits that must be read from its end, as Parquet is.

        `memory_megabytes`: what is held in memory at once: a workbook and its sheet, a column of a Parquet file.
        """
        self.memory_megabytes = memory_megabytes
        self._folder = folder
        self._limit = limit_megabytes
        self._left = limit_megabytes * _MEGABYTE

    @contextmanager
    def open(self, file: DataFile) -> Iterator[ByteStream]:
        """From the start, once.

        Raises:
            TerminalError: `file-too-large`, while it is read; `file-unreadable`, where that is known already.
            OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError: the packing is broken or unknown.
        """
        if file.why_not is not None:
            raise unreadable(file.name, file.why_not)
        if file.member is not None:
            with zipfile.ZipFile(file.path) as archive, archive.open(file.member) as member:
                yield _Bounded(self, file, member)
        elif file.is_gzip:
            with gzip.open(file.path, "rb") as unpacked:
                yield _Bounded(self, file, unpacked)
        else:
            with file.path.open("rb") as plain:
                yield plain

    @contextmanager
    def open_seekable(self, file: DataFile) -> Iterator[IO[bytes]]:
        """Raises as `open`."""
        with self.open(file) as stream:
            if not file.is_packed:
                yield stream  # type: ignore[misc]  # a plain file is one
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                with tempfile.TemporaryFile(dir=self._folder) as unpacked:
                    while chunk := stream.read(_MEGABYTE):
                        unpacked.write(chunk)
                    unpacked.seek(0)
                    yield unpacked
            except OSError as error:  # also when it is closed, with what could not be written
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise unreadable(file.name, self._no_space()) from None

    def _no_space(self) -> str:
        return (
            f"there is no space left in {self._folder} for what is packed in it. The file may be well: make room "
            "there, or put it into the folder unpacked"
        )

    def fresh(self) -> "Unpacker":
        """With the whole bound again: for looking at a file before it is read."""
        return Unpacker(self._folder, self._limit, self.memory_megabytes)

    def take(self, file: DataFile, size: int) -> None:
        """Count bytes that came out of a packed file."""
        self._left -= size
        if self._left < 0:
            raise TerminalError(
                f"{file.name} can't be read: the packed files of this sync unpack to more than {self._limit} MB. If "
                "they are what they should be, raise GTM_FILES_MAX_UNPACKED_MB.",
                code="file-too-large",
                title="Packed files hold more than is allowed",
                status=422,
                file=file.name,
            )


class _Bounded:
    def __init__(self, unpacker: Unpacker, file: DataFile, stream: ByteStream) -> None:
        self._unpacker = unpacker
        self._file = file
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._unpacker.take(self._file, len(data))
        return data


def unreadable(name: str, why: str) -> TerminalError:
    """A file that gives not a single row. `why` is the rest of the sentence, without its full stop."""
    return TerminalError(
        f"{name} can't be read: {why}.", code="file-unreadable", title="A file can't be read", status=422, file=name
    )
