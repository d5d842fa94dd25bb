"""What the cells of a workbook's sheet hold in all: a text is stored once, and any number of cells may name it.

The library that reads a sheet makes a copy of the text for each cell.
"""

import zipfile
from array import array
from xml.parsers import expat

_CHUNK_BYTES = 1 << 20


class StringLengths:
    """The lengths of a workbook's shared texts, in their order: cells name them by number."""

    def __init__(self) -> None:
        self.lengths = array("Q")
        self._is_text = False
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add

    @property
    def longest(self) -> int:
        """0 where there is none."""
        return max(self.lengths, default=0)

    def read(self, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
        """Raises expat.ExpatError: it is no XML."""
        with archive.open(part) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                self._parser.Parse(chunk)
        self._parser.Parse(b"", True)

    def _begin(self, name: str, _attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "si":
            self.lengths.append(0)
        self._is_text = tag == "t"

    def _end(self, _name: str) -> None:
        self._is_text = False

    def _add(self, text: str) -> None:
        if self._is_text and self.lengths:
            self.lengths[-1] += len(text)


class SharedText:
    """Counts what the cells of one sheet name of the shared texts."""

    def __init__(self, lengths: "array[int]") -> None:
        self.characters = 0
        self._lengths = lengths
        self._is_shared = False
        self._number: list[str] | None = None
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add

    def read(self, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
        """In all. Raises expat.ExpatError: it is no XML."""
        with archive.open(part) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                self._parser.Parse(chunk)
        self._parser.Parse(b"", True)
        return self.characters

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "c":
            self._is_shared = attributes.get("t") == "s"
        self._number = [] if tag == "v" and self._is_shared else None

    def _end(self, _name: str) -> None:
        if self._number is not None:
            number = "".join(self._number).strip()
            place = int(number) if number.isdecimal() and len(number) < 12 else len(self._lengths)
            self.characters += self._lengths[place] if place < len(self._lengths) else 0
            self._number = None

    def _add(self, text: str) -> None:
        if self._number is not None:
            self._number.append(text)
