"""How far the sheets of a workbook reach, before anything loads one: a few bytes of XML can mean a memory's worth.

The library that reads a sheet makes a rectangle of all cells from the first to the last one that has a value, at 32
bytes a cell, and ends the process where that can't be had.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Final
from xml.etree import ElementTree
from xml.parsers import expat

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.shared_strings import SharedText, StringLengths
from services.ingest.adapters.files.unpacking import unreadable

_CELL_BYTES: Final = 32
_LAST_ROW: Final = 1 << 20
_LAST_COLUMN: Final = 1 << 14
_CHUNK_BYTES: Final = 1 << 20
_LONGEST_LIST_BYTES: Final = 8 << 20
_LIST_OF_SHEETS: Final = "xl/workbook.xml"
_SHARED_STRINGS: Final = "xl/sharedstrings.xml"
_LINKS_OF_SHEETS: Final = "xl/_rels/workbook.xml.rels"
_LINK_ID: Final = re.compile(r"\{http[^}]*relationships\}id")
_MEND: Final = ", or save the sheet as CSV; a check has room for less than a sync"
# What else the library would take the file for, by its content.
_OTHER_FORMATS: Final = frozenset({"xl/workbook.bin", "content.xml"})


@dataclass(frozen=True)
class SheetSize:
    """`errors`: cells that hold one, such as #N/A; `first_error` is the row and the column of the first one."""

    errors: int = 0
    first_error: tuple[int, int] = (0, 0)


def measure_sheets(file: DataFile, data: IO[bytes], most_megabytes: int) -> Mapping[str, SheetSize]:
    """By the sheet's name. Streams the whole workbook once and leaves `data` at its start.

    `most_megabytes` of all parts unpacked, and of the memory of each sheet.

    Raises:
        TerminalError: `file-unreadable`, also where a sheet, read or not, would not fit into memory.
    """
    try:
        with zipfile.ZipFile(data) as archive:
            _require_xlsx(file, archive)
            parts = _measure_parts(file, archive, most_megabytes)
            sizes = {name: parts[part] for name, part in _list_sheets(archive) if part in parts}
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ElementTree.ParseError) as error:
        raise unreadable(file.name, f"as a workbook: {str(error).rstrip('.')}") from None
    data.seek(0)
    return sizes


def _require_xlsx(file: DataFile, archive: zipfile.ZipFile) -> None:
    names = [info.filename.lower() for info in archive.infolist()]
    if len(set(names)) < len(names):
        raise unreadable(file.name, "as a workbook: two of its parts have the same name")
    if _OTHER_FORMATS & set(names):
        raise unreadable(file.name, "it is a workbook of another format; save it as .xlsx or CSV")


def _measure_parts(file: DataFile, archive: zipfile.ZipFile, most_megabytes: int) -> dict[str, SheetSize]:
    """Of the parts that are sheets, by their path in lower case. All parts are counted as they really unpack."""
    left = most_megabytes << 20
    sizes = {}
    naming = {}  # part -> cells that name a shared text
    for info in archive.infolist():
        meter = _SheetMeter()
        with archive.open(info) as part:
            while chunk := part.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise unreadable(file.name, f"it unpacks to more than {most_megabytes} MB{_MEND}")
                meter.feed(chunk)
        if meter.is_sheet:
            meter.finish()
            _require_sane(file, info.filename, meter, most_megabytes)
            sizes[info.filename.lower()] = SheetSize(meter.errors, meter.first_error)
            naming[info] = meter.shared
    _require_room_for_texts(file, archive, naming, most_megabytes)
    return sizes


def _require_room_for_texts(
    file: DataFile, archive: zipfile.ZipFile, naming: Mapping[zipfile.ZipInfo, int], most_megabytes: int
) -> None:
    """A text that a million cells name is a million texts once they are read."""
    strings, most = StringLengths(), most_megabytes << 20
    try:
        for info in archive.infolist():
            if info.filename.lower() == _SHARED_STRINGS and any(naming.values()):
                strings.read(archive, info)
        for part, cells in naming.items():
            # The product is the most that it can be; only where that is too much is the sheet read again.
            if cells * strings.longest > most and SharedText(strings.lengths).read(archive, part) > most:
                raise unreadable(file.name, f"the texts of {part.filename} take more than {most_megabytes} MB{_MEND}")
    except expat.ExpatError as error:
        raise unreadable(file.name, f"as a workbook: no well-formed XML: {error}") from None


def _require_sane(file: DataFile, part: str, meter: "_SheetMeter", most_megabytes: int) -> None:
    if meter.problem:
        raise unreadable(file.name, f"as a workbook: {part}: {meter.problem}")
    most_cells = (most_megabytes << 20) // _CELL_BYTES
    if meter.cells > most_cells:
        raise unreadable(
            file.name,
            f"{part} reaches from row {meter.first_row}, column {meter.first_column} to row {meter.last_row}, column "
            f"{meter.last_column}: {meter.cells:,} cells, more than the {most_cells:,} of {most_megabytes} MB. Delete "
            f"what stands far from the table{_MEND}",
        )


def _list_sheets(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """Names and paths in lower case."""
    links = {}
    for link in _read_list(archive, _LINKS_OF_SHEETS):
        target = link.get("Target", "")
        path = target[1:] if target.startswith("/") else target if target.startswith("xl/") else f"xl/{target}"
        links[link.get("Id", "")] = path.lower()
    found = []
    for element in _read_list(archive, _LIST_OF_SHEETS).iter():
        if element.tag.rpartition("}")[2] == "sheet":
            link_id = next((value for name, value in element.items() if _LINK_ID.fullmatch(name)), "")
            found.append((element.get("name", ""), links.get(link_id, "")))
    return found


def _read_list(archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
    exact = next((info for info in archive.infolist() if info.filename.lower() == part), None)
    if exact is None:
        raise RuntimeError(f"it has no {part}")
    with archive.open(exact) as stream:
        text = stream.read(_LONGEST_LIST_BYTES + 1)
    if len(text) > _LONGEST_LIST_BYTES:
        raise RuntimeError(f"its {part} is no list of sheets")
    return ElementTree.fromstring(text)


class _SheetMeter:
    """Reads the XML of one part. What is no sheet is left alone from its first element on."""

    def __init__(self) -> None:
        self.is_sheet = False
        self.problem: str | None = None
        self.errors = 0
        self.shared = 0
        self.first_error = (0, 0)
        self.first_row = self.last_row = 0
        self.first_column = self.last_column = 0
        self._is_done = False
        self._row = self._column = 0
        self._columns: dict[str, int] = {}
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.StartDoctypeDeclHandler = self._refuse

    @property
    def cells(self) -> int:
        """Of the rectangle around all that has a value."""
        return (self.last_row - self.first_row + 1) * (self.last_column - self.first_column + 1)

    def feed(self, chunk: bytes) -> None:
        if not self._is_done:
            self._parse(chunk, is_last=False)

    def finish(self) -> None:
        if not self._is_done:
            self._parse(b"", is_last=True)

    def _parse(self, chunk: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            self._stop(f"no well-formed XML: {error}")

    def _stop(self, problem: str | None) -> None:
        self.problem = self.problem or problem
        self._is_done = True
        self._parser.StartElementHandler = None

    def _refuse(self, *_declared: object) -> None:
        self._stop("a document type, which no sheet has")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2] if ":" in name else name
        if name == "c":
            self._begin_cell(attributes)
        elif name == "v" or name == "is":
            self._fill()
        elif name == "row":
            self._row = int(attributes["r"]) if attributes.get("r", "").isdecimal() else self._row + 1
            self._column = 0
        elif not self.is_sheet:
            self.is_sheet = name == "worksheet"
            if not self.is_sheet:
                self._stop(None)

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        place = attributes.get("r")
        if place is None:
            self._column += 1
        else:
            letters = place.rstrip("0123456789")
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = _column_number(letters)
            self._column = column
            self._row = int(place[len(letters) :] or 0)
        kind = attributes.get("t")
        if kind == "s":
            self.shared += 1
        elif kind == "e":
            self.errors += 1
            self.first_error = self.first_error if self.errors > 1 else (self._row, self._column)

    def _fill(self) -> None:
        row, column = self._row, self._column
        if not (0 < row <= _LAST_ROW and 0 < column <= _LAST_COLUMN) or row < self.last_row:
            self._stop(f"a cell in row {row}, column {column}, behind one in row {self.last_row}")
        elif not self.first_row:
            self.first_row, self.first_column, self.last_column = row, column, column
        elif column < self.first_column:
            self.first_column = column
        elif column > self.last_column:
            self.last_column = column
        self.last_row = row


def _column_number(letters: str) -> int:
    """1 for A, 27 for AA; 0 for what names no column."""
    number = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z" or number > _LAST_COLUMN:
            return 0
        number = number * 26 + ord(letter) - 64
    return number
