"""Workbooks: what their cells hold, what they only seem to hold, and what no memory holds."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError
from tests.ingest.folder_reading import FolderReading, ReadFolder, read_folder
from tests.ingest.workbooks import Cell, Date, Raw, write_workbook

MAPPING = """
description: test
tables:
  hubspot_companies:
    files: ["companies*"]
    {sheet}
    key: [ID]
    columns: {{id: ID, name: Name}}
"""
LANDED = ("id", "name", "extra")


@pytest.fixture
def read(settings: IngestSettings, tmp_path: Path, files_root: Path) -> ReadFolder:
    folder = tmp_path / "sources"
    folder.mkdir()

    def run(sheet: str = "", **options: Any) -> FolderReading:
        (folder / "test.yml").write_text(MAPPING.format(sheet=sheet))
        return read_folder(settings.model_copy(update={"sources_dir": folder}), files_root, **options)

    return run


def test_excel(read: ReadFolder, files_root: Path) -> None:
    rows: list[list[Cell]] = [
        [None, None, None, None, None],
        ["ID", "Name", "Since", "Ratio", "Flag"],
        [12.0, "a", Date(45356.0), 0.1 + 0.2, True],
        [13.0, "b", Date(45356.25), 1e15, None],
        [None, None, None, None, None],
        ["007", "c", "3/5/2024", 1234567.891, False],
        [14.0, "d", None, None, None, "stray"],
    ]
    (files_root / "companies.xlsx").write_bytes(write_workbook({"Data": rows}))
    result = read(batch_rows=2)
    assert [(row[0], json.loads(row[2])) for row in result.columns(*LANDED)] == [
        ("007", {"Flag": "false", "Ratio": "1234567.891", "Since": "3/5/2024"}),
        ("12", {"Flag": "true", "Ratio": "0.3", "Since": "2024-03-05"}),
        ("13", {"Ratio": "1000000000000000", "Since": "2024-03-05 06:00:00"}),
    ]
    (reject,) = result.rejects
    assert (reject.line, reject.reason) == (7, "a value in column 6, which has no name in the first row")


def test_sheets_of_a_workbook_by_mapping(read: ReadFolder, files_root: Path) -> None:
    sheets = {"Notes": [["x"], ["y"]], "Firms": [["ID", "Name"], ["1", "a"]]}
    (files_root / "companies.xlsx").write_bytes(write_workbook(sheets))
    with pytest.raises(TerminalError, match="several sheets; name one of them as `sheet` in the mapping: Notes, Firms"):
        read()
    with pytest.raises(TerminalError, match="no sheet Firm; .*: Notes, Firms"):
        read(sheet="sheet: Firm")
    assert read(sheet="sheet: Firms").columns("id") == [("1",)]


def test_workbook_that_is_a_bomb(read: ReadFolder, files_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unpacker.__init__, "__defaults__", (1,))
    (files_root / "companies.xlsx").write_bytes(write_workbook({"S": [["ID", "Name"], ["1", "a" * (1 << 20)]]}))
    with pytest.raises(TerminalError, match="unpacks to more than"):
        read()


def with_part(workbook: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """The workbook with one of its parts changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name).decode()
            new.writestr(name, change(text) if name == part else text)
    return file.getvalue()


FAR = {
    "by reference": lambda xml: xml.replace('r="B2"', 'r="XFD1048576"'),
    "in other words": lambda xml: xml.replace('<c r="B2"', "<x:c r = 'XFD1048576'").replace(
        "</c></row></sh", "</x:c></row></sh"
    ),
    "by the row alone": lambda xml: xml.replace('<row r="2"><c r="A2"', '<row r="1048576"><c r="XFD1048576"').replace(
        ' r="B2"', ""
    ),
}


@pytest.mark.parametrize("how", list(FAR))
@pytest.mark.parametrize("sheet", [1, 2])
def test_a_cell_far_away_takes_no_memory(read: ReadFolder, files_root: Path, how: str, sheet: int) -> None:
    """Made into a rectangle it would be half a terabyte, and end the process."""
    rows = [["ID", "Name"], ["1", "a"]]
    workbook = write_workbook({"S": rows, "T": rows})
    far = with_part(workbook, f"xl/worksheets/sheet{sheet}.xml", FAR[how])
    (files_root / "companies.xlsx").write_bytes(far)
    with pytest.raises(
        TerminalError, match="Delete what stands far from the table, or save the sheet as CSV|behind one in"
    ):
        read("sheet: S")


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda xml: xml.replace('<row r="2"><c r="A2"', '<row r="1"><c r="A0"'), "row 0"),
        (lambda xml: xml.replace("A2", "XFE2").replace("B2", "XFF2"), "column 16385"),
        (lambda xml: xml.replace("</sheetData>", ""), "no well-formed XML"),
        (lambda xml: "<!DOCTYPE worksheet>" + xml, "sheet S is missing or no plain XML"),
    ],
)
def test_sheets_that_are_none(read: ReadFolder, files_root: Path, change: Callable[[str], str], why: str) -> None:
    workbook = write_workbook({"S": [["ID", "Name"], ["1", "a"]]})
    (files_root / "companies.xlsx").write_bytes(with_part(workbook, "xl/worksheets/sheet1.xml", change))
    with pytest.raises(TerminalError, match=why):
        read()


def test_a_workbook_of_another_format(read: ReadFolder, files_root: Path) -> None:
    """The library takes a file for what it is, whatever its name: nothing has measured the sheets of the others."""
    with zipfile.ZipFile(files_root / "companies.xlsx", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", "<office:document-content/>")
    with pytest.raises(TerminalError, match="a workbook of another format; save it as .xlsx or CSV"):
        read()


def test_two_ids_are_never_one(read: ReadFolder, files_root: Path) -> None:
    big = [" ><v>9007199254740992</v></c>", "><v>9007199254740993</v></c>"]
    rows: list[list[Cell]] = [["ID", "Name"], [1234567890123456.0, "a"], [1234567890123457.0, "b"]]
    rows += [[Raw(xml), "c"] for xml in big]
    (files_root / "companies.xlsx").write_bytes(write_workbook({"S": rows}))
    result = read()
    assert result.columns("id", "name") == [("1234567890123456", "a"), ("1234567890123457", "b")]
    assert [one.line for one in result.rejects] == [4, 5]
    assert result.rejects[0].reason.startswith("the number in column 1 (ID) has more digits than Excel keeps")


def test_errors_in_cells_are_told(read: ReadFolder, files_root: Path) -> None:
    error = Raw(' t="e"><v>#N/A</v></c>')
    other: list[list[Cell]] = [["x"], [error]]
    sheet: list[list[Cell]] = [["ID", "Name"], ["1", error], ["2", "#N/A"], ["3", error]]
    (files_root / "companies.xlsx").write_bytes(write_workbook({"T": other, "S": sheet}))
    result = read("sheet: S")
    assert result.columns("id", "name") == [("1", None), ("2", "#N/A"), ("3", None)]
    assert result.notes == [
        "companies.xlsx: cells that hold an error such as #N/A have no value and landed empty: 2, first in row 2, "
        "column 2."
    ]


def test_a_batch_of_long_cells_ends_early(read: ReadFolder, files_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.adapters.files.workbooks.BATCH_BYTES", 10_000)
    rows: list[list[Cell]] = [["ID", "Name"]]
    rows += [[str(number), "a" * 1000] for number in range(100)]
    (files_root / "companies.xlsx").write_bytes(write_workbook({"S": rows}))
    result = read()
    assert len(result.rows) == 100 and max(result.batches) == 10
