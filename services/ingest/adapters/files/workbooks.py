"""A sheet of an Excel workbook as batches of text columns."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from services.ingest.adapters.files.batching import BATCH_BYTES, narrow
from services.ingest.adapters.files.columns import take_columns
from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.json_lines import to_union_batch
from services.ingest.adapters.files.sheet_sizes import measure_sheets
from services.ingest.adapters.files.unpacking import Unpacker, unreadable
from services.ingest.domain.file_batches import FileBatch, Number
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.file_rejects import file_reject
from services.ingest.domain.mapping import TableMapping
from services.ingest.domain.sources import Reject

_EXACT_BELOW: Final = 1 << 53  # larger whole numbers share their stored form with their neighbours


def read_workbook(
    file: DataFile, mapping: TableMapping, reading: FileReading, unpacker: Unpacker, batch_rows: int
) -> Iterator[FileBatch]:
    """The first row that isn't empty names the columns. Dates as ISO text, numbers with the digits that Excel keeps.

    A cell under a column without a name has no place to go, and a whole number of which only the first digits are
    kept may be two records' id: their rows are rejects. Cells that hold an error have no value; they are counted.
    """
    with unpacker.open_seekable(file) as data:
        sizes = measure_sheets(file, data, unpacker.memory_megabytes)
        try:
            with CalamineWorkbook.from_filelike(data) as workbook:
                sheet = _choose_sheet(file, workbook, mapping)
                if sheet.name not in sizes:
                    raise unreadable(file.name, f"as a workbook: its sheet {sheet.name} is missing or no plain XML")
                size = sizes[sheet.name]
                reading.error_cells, reading.first_error_cell = size.errors, size.first_error
                yield from _read_sheet(file, sheet, mapping, reading, batch_rows)
        except CalamineError as error:
            raise unreadable(file.name, f"as a workbook: {str(error).rstrip('.')}") from None


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
    most_rows = narrow(batch_rows, len(names))
    rows: list[dict[str, str | None]] = []
    rejects: list[Reject] = []
    size = 0
    yield to_union_batch([], [], mapping)
    for number, row in cells:
        texts = [_to_text(cell) for cell in row]
        reason = _find_problem(row, texts, titles, first_column)
        if reason is not None:
            rejects.append(file_reject(file.name, number, reason, _to_content(texts)))
        else:
            rows.append(dict(zip(names, [texts[place] for place in places], strict=True)))
        size += sum(len(text) for text in texts if text is not None)
        if len(rows) + len(rejects) >= most_rows or size > BATCH_BYTES:
            yield to_union_batch(rows, rejects, mapping)
            rows, rejects, size = [], [], 0
    yield to_union_batch(rows, rejects, mapping)


def _find_problem(
    row: Sequence[Any], texts: Sequence[str | None], titles: Sequence[str], first_column: int
) -> str | None:
    for place, text in enumerate(texts):
        if text is None:
            continue
        if not titles[place]:
            return f"a value in column {place + first_column}, which has no name in the first row"
        if isinstance(row[place], float) and abs(row[place]) >= _EXACT_BELOW and row[place].is_integer():
            return (
                f"the number in column {place + first_column} ({titles[place]}) has more digits than Excel keeps of a "
                "number, so that two ids may be one; format the column as text before its values are entered"
            )
    return None


def _to_content(texts: Sequence[str | None]) -> str:
    return "\t".join(text or "" for text in texts)


def _to_text(cell: Any) -> str | None:
    """Whole numbers to the last digit, fractions with 15, as Excel itself keeps: 0.1 + 0.2 is 0.3."""
    if cell == "" or cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int) or (isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT_BELOW):
        return Number(int(cell))
    if isinstance(cell, float):
        return Number(format(Decimal(f"{cell:.15g}"), "f"))
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ") if cell.time() != time.min else cell.date().isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)
