"""A sheet of an Excel workbook as batches of text columns."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from services.ingest.adapters.files.batching import narrow
from services.ingest.adapters.files.columns import take_columns
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.json_lines import to_union_batch
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.file_batches import FileBatch, Number
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.sources import Reject

_LARGEST_BYTES: Final = 1 << 30  # unpacked: a sheet is held in memory as a whole
_CHUNK_BYTES: Final = 1 << 20


def read_workbook(
    file: DataFile, mapping: TableMapping, reading: FileReading, unpacker: Unpacker, batch_rows: int
) -> Iterator[FileBatch]:
    """The first row that isn't empty names the columns. Dates as ISO text, numbers with the digits that Excel shows.

    A cell under a column without a name has no place to go: its row is a reject.
    """
    with unpacker.open_seekable(file) as data:
        _require_sane_size(file, data)
        try:
            with CalamineWorkbook.from_filelike(data) as workbook:
                sheet = _choose_sheet(file, workbook, mapping)
                yield from _read_sheet(file, sheet, mapping, reading, batch_rows)
        except CalamineError as error:
            raise unreadable(file.name, f"as a workbook: {str(error).rstrip('.')}") from None


def _require_sane_size(file: DataFile, data: IO[bytes]) -> None:
    """A workbook is a zip archive: count what it really holds before anything loads it."""
    left = _LARGEST_BYTES
    try:
        with zipfile.ZipFile(data) as archive:
            for info in archive.infolist():
                with archive.open(info) as part:
                    while left >= 0 and (chunk := part.read(_CHUNK_BYTES)):
                        left -= len(chunk)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise unreadable(file.name, f"as a workbook: {str(error).rstrip('.')}") from None
    if left < 0:
        megabytes = _LARGEST_BYTES >> 20
        raise unreadable(file.name, f"it unpacks to more than {megabytes} MB; save its sheets as CSV")
    data.seek(0)


def _choose_sheet(file: DataFile, workbook: CalamineWorkbook, mapping: TableMapping) -> CalamineSheet:
    sheets = [
        one.name
        for one in workbook.sheets_metadata
        if one.typ == SheetTypeEnum.WorkSheet and (one.visible == SheetVisibleEnum.Visible or one.name == mapping.sheet)
    ]
    wanted = sheets if mapping.sheet is None else [name for name in sheets if name == mapping.sheet]
    if len(wanted) != 1:
        problem = "several sheets" if mapping.sheet is None else f"no sheet {mapping.sheet}"
        raise unreadable(
            file.name, f"it has {problem}; name one of them as `sheet` in the mapping: {', '.join(sheets)}"
        )
    return workbook.get_sheet_by_name(wanted[0])


def _read_sheet(
    file: DataFile, sheet: CalamineSheet, mapping: TableMapping, reading: FileReading, batch_rows: int
) -> Iterator[FileBatch]:
    first_column = (sheet.start or (0, 0))[1] + 1  # empty rows at the top are given, empty columns on the left are not
    cells = ((number, row) for number, row in enumerate(sheet.iter_rows(), start=1) if any(c != "" for c in row))
    _, header = next(cells, (0, []))
    if not header:
        raise unreadable(file.name, f"its sheet {sheet.name} is empty; the first row must name the columns")
    titles = [_to_text(cell) or "" for cell in header]
    names = take_columns(file, mapping, [title for title in titles if title], reading)
    places = [place for place, title in enumerate(titles) if title]
    rows: list[dict[str, str | None]] = []
    rejects: list[Reject] = []
    yield to_union_batch([], [], mapping)
    for number, row in cells:
        texts = [_to_text(cell) for cell in row]
        stray = [place for place, text in enumerate(texts) if text is not None and not titles[place]]
        if stray:
            reason = f"a value in column {stray[0] + first_column}, which has no name in the first row"
            rejects.append(Reject(file.name, number, reason, _to_content(texts)))
        else:
            rows.append(dict(zip(names, [texts[place] for place in places], strict=True)))
        if len(rows) + len(rejects) >= narrow(batch_rows, len(names)):
            yield to_union_batch(rows, rejects, mapping)
            rows, rejects = [], []
    yield to_union_batch(rows, rejects, mapping)


def _to_content(texts: Sequence[str | None]) -> str:
    return "\t".join(text or "" for text in texts)


def _to_text(cell: Any) -> str | None:
    """15 digits, as Excel itself keeps: 0.1 + 0.2 is 0.3."""
    if cell == "" or cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return Number(format(Decimal(f"{cell:.15g}"), "f"))
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ") if cell.time() != time.min else cell.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)
