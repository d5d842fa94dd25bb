"""Files as people really send them: packed, in other encodings, with other delimiters, drifted headers, from Excel."""

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from services.ingest.domain.mapping import SourceMapping
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest, TerminalError
from tests.conftest import REPOSITORY
from tests.ingest.folder_reading import FolderReading, ReadFolder, read_folder
from tests.ingest.workbooks import write_workbook

MAPPING = """
description: test
{settings}
tables:
  hubspot_companies:
    files: [companies, "companies_*"]
    {table_settings}
    key: [ID]
    columns:
      id: ID
      name: {{column: Name, aliases: [Company, Firma]}}
      city: {{column: Town, optional: true}}
      annualrevenue: {{column: Revenue, optional: true, decimal: comma}}
"""
LANDED = ("id", "name", "city", "annualrevenue", "extra")


@pytest.fixture
def read(settings: IngestSettings, tmp_path: Path, files_root: Path) -> ReadFolder:
    folder = tmp_path / "sources"
    folder.mkdir()

    def run(source: str = "", table: str = "", max_mb: int = 100, **options: Any) -> FolderReading:
        (folder / "test.yml").write_text(MAPPING.format(settings=source, table_settings=table))
        changed = {"sources_dir": folder, "files_max_unpacked_mb": max_mb}
        return read_folder(settings.model_copy(update=changed), files_root, **options)

    return run


def zipped(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_gzip_and_members_of_a_zip_by_name(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies_a.CSV.gz").write_bytes(gzip.compress(b"ID,Name\n1,a\n1\n"))
    parquet, rows = io.BytesIO(), pa.table({"ID": ["4"], "Name": ["d"]})
    pq.write_table(rows, parquet)
    members = {
        "crm/companies_b.csv": "ID,Name\n2,b\n2,b,b\n",
        "companies_c.jsonl": '{"ID": "3", "Name": "c"}\n{]\n',
        "companies_d.parquet": parquet.getvalue(),
        "companies_e.xlsx": write_workbook({"Sheet1": [["ID", "Name"], ["5", "e"]]}),
        "README.txt": "hello",
        "__MACOSX/crm/._companies_b.csv": b"\0\1\2",
    }
    (files_root / "export.zip").write_bytes(zipped(**members))
    result = read()
    assert result.columns("id", "name") == [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e")]
    assert sorted((one.file, one.line) for one in result.rejects) == [
        ("companies_a.CSV.gz", 3),
        ("export.zip!companies_c.jsonl", 2),
        ("export.zip!crm/companies_b.csv", 3),
    ]
    assert result.unmapped_files == ("export.zip!README.txt",)


@pytest.mark.parametrize("name", ["companies.csv.gz", "export.zip"])
def test_what_packed_files_unpack_to_is_bounded(read: ReadFolder, files_root: Path, name: str) -> None:
    bomb = b"ID,Name\n" + (b"1," + b"a" * 1997 + b"\n") * 2000
    packed = gzip.compress(bomb) if name.endswith("gz") else zipped(**{"companies.csv": bomb})
    (files_root / name).write_bytes(packed)
    with pytest.raises(TerminalError, match="unpack to more than 3 MB") as caught:
        read(max_mb=3)
    assert caught.value.code == "file-too-large"
    assert len(read(max_mb=4).rows) == 2000


def test_zip_that_lies_about_its_sizes(read: ReadFolder, files_root: Path) -> None:
    packed = bytearray(zipped(**{"companies.csv": b"ID,Name\n" + b"1,a\n" * 1_000_000}))
    size = struct.pack("<I", 4_000_008)
    assert packed.count(size) == 2
    (files_root / "export.zip").write_bytes(packed.replace(size, struct.pack("<I", 80)))
    with pytest.raises(TerminalError, match=r"export.zip!companies.csv can't be read"):
        read()


def test_a_line_without_end(read: ReadFolder, files_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.domain.line_buffer.LONGEST_LINE_BYTES", 1 << 20)
    (files_root / "companies.csv.gz").write_bytes(gzip.compress(b"ID,Name\n1," + b"a" * (4 << 20)))
    with pytest.raises(TerminalError, match="begins in line 2 has more than"):
        read()


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("companies.csv.gz", gzip.compress(b"ID,Name\n" + b"1,a\n" * 9, mtime=0)[:-12], "packing is broken"),
        ("companies.csv.gz", b"ID,Name\n1,a\n", "Not a gzipped file"),
        ("export.zip", b"PK\x03\x04 and then nothing", "as a zip archive"),
        ("companies.xlsx", b"no workbook", "as a workbook"),
    ],
)
def test_packing_that_is_broken(read: ReadFolder, files_root: Path, name: str, content: bytes, why: str) -> None:
    (files_root / "companies_0.csv").write_text("ID,Name\n0,fine\n")
    (files_root / name).write_bytes(content)
    with pytest.raises(TerminalError, match=f"{name} can't be read: .*{why}") as caught:
        read()
    assert caught.value.code == "file-unreadable"


def test_encrypted_member(read: ReadFolder, files_root: Path) -> None:
    packed = bytearray(zipped(**{"companies.csv": "ID,Name\n1,a\n"}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(header) + flags] |= 1
    (files_root / "export.zip").write_bytes(packed)
    with pytest.raises(TerminalError, match="export.zip!companies.csv can't be read: it is encrypted"):
        read()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name(read: ReadFolder, files_root: Path) -> None:
    with zipfile.ZipFile(files_root / "export.zip", "w") as archive:
        archive.writestr("companies.csv", "ID,Name\n1,a\n")
        archive.writestr("companies.csv", "ID,Name\n2,b\n")
    with pytest.raises(TerminalError, match="export.zip!companies.csv can't be read: .* several members of this name"):
        read()


TEXT = "ID,Name\n1,Müller €\n2,Ça\n"


@pytest.mark.parametrize(
    "content, setting, said",
    [
        (TEXT.encode(), "", None),
        (TEXT.encode("utf-8-sig"), "encoding: windows-1252", None),
        (TEXT.encode("utf-16"), "", "UTF-16 LE, by its byte-order mark"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "", "UTF-16 BE, by its byte-order mark"),
        (TEXT.encode("utf-16-le"), "encoding: utf-16", "UTF-16 LE, by the mapping"),
        (TEXT.encode("cp1252"), "encoding: windows-1252", "Windows-1252, by the mapping"),
        (TEXT.encode("cp1252"), "encoding: detect", "Windows-1252, by detection, which the mapping allows"),
        (TEXT.encode(), "encoding: detect", None),
    ],
)
@pytest.mark.parametrize("where", ["source", "table"])
def test_encodings(
    read: ReadFolder, files_root: Path, content: bytes, setting: str, said: str | None, where: str
) -> None:
    (files_root / "companies.csv").write_bytes(content)
    result = read(**{where: setting})
    assert result.columns("id", "name") == [("1", "Müller €"), ("2", "Ça")]
    assert result.notes == ([f"companies.csv: read as {said}."] if said else [])


def test_no_encoding_is_guessed(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_bytes(TEXT.encode("cp1252") + b"3,plain\n")
    result = read()
    assert result.columns("id", "name") == [("3", "plain")]
    assert [one.line for one in result.rejects] == [2, 3]
    assert (
        result.rejects[0].reason
        == "bytes that are not UTF-8: export the file as UTF-8, or name its `encoding` in the mapping"
    )


def test_bytes_that_the_named_encoding_lacks(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_bytes(b"ID,Name\n1,M\xfcller\n2,\x81\n")
    (reject,) = read("encoding: windows-1252").rejects
    assert (
        reject.reason == "bytes that are not Windows-1252: export the file as UTF-8, or mend `encoding` in the mapping"
    )
    assert (reject.line, reject.content) == (3, "2,\\x81")
    (files_root / "companies.csv").write_bytes("ID,Name\n1,a\n".encode("utf-16") + b"\x00\xd8\n\x00" + b"x")
    assert [one.line for one in read().rejects] == [3, 4]


@pytest.mark.parametrize("delimiter, name", [(";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_delimiters_are_seen_in_the_header(read: ReadFolder, files_root: Path, delimiter: str, name: str) -> None:
    rows = ["ID;Name;Note", "1;a, b;", '2;"c;d";x', "3;e", "4,f,g"]
    (files_root / "companies.csv").write_text("\n".join(row.replace(";", delimiter) for row in rows))
    result = read()
    assert result.columns("id", "name") == [("1", "a, b"), ("2", f"c{delimiter}d")]
    assert result.notes == [f"companies.csv: its columns are separated by {name}."]
    assert [one.line for one in result.rejects] == [4, 5]


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
@pytest.mark.parametrize("setting", ["", "delimiter: comma"])
def test_the_delimiter_that_excel_names_in_a_line_of_its_own(
    read: ReadFolder, files_root: Path, first: str, setting: str
) -> None:
    (files_root / "companies.csv").write_bytes((first + "ID;Name;x,y\n1;a;z\n2\n").encode("utf-8-sig"))
    result = read(setting)
    assert result.columns("id", "name", "extra") == [("1", "a", '{"x,y":"z"}')]
    assert [one.line for one in result.rejects] == [4]
    (files_root / "companies.csv").write_text("sep=^\nID^Name\n")
    with pytest.raises(TerminalError, match="says that '\\^' separates its columns; export it with comma, semicolon"):
        read()


def test_a_single_column_without_a_name_is_kept(read: ReadFolder, files_root: Path) -> None:
    """The row numbers that pandas writes."""
    (files_root / "companies.csv").write_text(",ID,Name\n0,7,a\n")
    assert read().columns("id", "name", "extra") == [("7", "a", '{"":"0"}')]


def test_a_header_that_can_be_split_in_two_ways_asks_the_mapping(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_text("Name,Note;x;ID\na,1\n")
    with pytest.raises(TerminalError, match="no column Name, .* It has Name,Note, x, ID"):
        read()
    (files_root / "companies.csv").write_text("ID;Amount, EUR;Name\n1;5;a\n")
    assert read().columns("id", "name", "extra") == [("1", "a", '{"Amount, EUR":"5"}')]


def test_both_ways_hold_what_the_mapping_needs(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_text("ID,Name,x;ID;Name\n")
    with pytest.raises(TerminalError, match="split by comma and semicolon"):
        read()


def test_rows_quoted_as_a_whole(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_text('"ID,Name"\n"1,""Müller, K"""\n2,plain\n"3,c"\n', encoding="utf-8")
    result = read()
    assert result.columns("id", "name") == [("1", "Müller, K"), ("2", "plain"), ("3", "c")]
    note = "companies.csv: rows that stood in one pair of quotes each, taken apart: 2, first in line 2."
    assert (result.rejects, result.notes) == ([], [note])


def test_decimal_commas_of_the_columns_that_the_mapping_names(read: ReadFolder, files_root: Path) -> None:
    amounts = ["12.500,00 €", "12.500", "0,5", "1250", "1.234.567,89", "EUR 7,125", "12.5", "n/a", "(1.000,00)"]
    rows = [f'{number},x,"{amount}","{amount}"' for number, amount in enumerate(amounts)]
    (files_root / "companies.csv").write_text("\n".join(["ID,Name,Revenue,Other", *rows]), encoding="utf-8")
    landed = read().columns(*LANDED)
    assert [row[3] for row in landed] == [
        *("12500.00 €", "12500", "0.5", "1250", "1234567.89", "EUR 7.125", "12.5", "n/a", "(1000.00)"),
    ]
    for amount, row in zip(amounts, landed, strict=True):
        kept = {"Other": amount} if row[3] == amount else {"Other": amount, "Revenue": amount}
        assert json.loads(row[4]) == kept


def test_numbers_of_a_format_that_has_numbers_need_no_comma(read: ReadFolder, files_root: Path) -> None:
    pq.write_table(pa.table({"ID": [1], "Name": ["a"], "Revenue": [12.345]}), files_root / "companies_1.parquet")
    (files_root / "companies_2.jsonl").write_text(
        '{"ID": 2, "Name": "b", "Revenue": 12.345}\n{"ID": 3, "Name": "b", "Revenue": "12.345"}\n'
    )
    sheet = [["ID", "Name", "Revenue"], [4.0, "c", 12.345], [5.0, "c", "12.345"]]
    (files_root / "companies_3.xlsx").write_bytes(write_workbook({"S": sheet}))
    landed = read().columns(*LANDED)
    assert [row[3] for row in landed] == ["12.345", "12.345", "12345", "12.345", "12345"]


def test_drifted_headers_change_nothing(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_text("ID,Name,Town,Note\n1,a,Ulm,n\n2,b,,\n")
    rows = read().rows
    (files_root / "companies.csv").write_text("Note, town ,id,COMPANY\nn,Ulm,1,a\n,,2,b\n")
    result = read()
    assert result.rows == rows
    assert result.notes == ["companies.csv: took 'id' as ID, 'COMPANY' as Name, ' town ' as Town."]
    (files_root / "companies.jsonl").write_text('{"iD": "1", "Firma": "a", "TOWN": "Ulm", "Note": "n"}\n')
    (files_root / "companies.csv").unlink()
    assert read().rows == rows[:1]


def test_reordered_columns_between_files_of_one_table(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies_1.csv").write_text("ID,Name,Town\n1,a,Ulm\n")
    (files_root / "companies_2.csv").write_text("Town,Firma,ID\nJena,b,2\n")
    assert read().columns("id", "name", "city") == [("1", "a", "Ulm"), ("2", "b", "Jena")]


def test_two_columns_that_could_be_the_one(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies.csv").write_text("ID,name,NAME\n1,a,b\n")
    with pytest.raises(TerminalError, match="name and NAME, and either could be the column Name") as caught:
        read()
    assert caught.value.code == "mapping-column-ambiguous"
    (files_root / "companies.csv").write_text("ID,Name,NAME\n1,a,b\n")
    assert read().columns(*LANDED) == [("1", "a", None, None, '{"NAME":"b"}')]


def test_no_file_that_the_mapping_takes(read: ReadFolder, files_root: Path) -> None:
    (files_root / "export.zip").write_bytes(zipped(**{"people.csv": "ID\n1\n"}))
    with pytest.raises(InvalidRequest, match=r"companies, companies_\* as .csv"):
        read()


def test_the_mapping_of_the_docs_is_one() -> None:
    page = (REPOSITORY / "docs" / "files-source.md").read_text(encoding="utf-8")
    mapping = SourceMapping.model_validate(yaml.safe_load(page.split("```yaml")[1].split("```")[0]))
    table = mapping.tables["hubspot_deals"]
    assert (table.encoding, table.delimiter, table.comma_columns()) == ("windows-1252", ";", {"Amount"})
