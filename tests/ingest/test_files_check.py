"""What a check says of a folder, before anything lands."""

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.sources import check_source_files
from services.ingest.domain.file_check import FilesCheck
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.errors import InvalidRequest, TerminalError
from tests.ingest.conftest import Query, Sync
from tests.source_states import MemoryStates

MAPPING = """
description: test
tables:
  hubspot_companies: {files: ["companies*"], key: [ID], columns: {id: ID, name: Name}}
  hubspot_contacts: {files: [contacts], key: [id], columns: {id: id}}
  hubspot_deals: {files: [deals], key: [id], columns: {id: id, dealname: title}}
"""


@pytest.fixture
def check(settings: IngestSettings, states: MemoryStates, tmp_path: Path, files_root: Path) -> Any:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "test.yml").write_text(MAPPING)

    def run(source: str = "files") -> FilesCheck:
        options = {"mapping": "test", "path": str(files_root)} if source == "files" else {}
        changed = settings.model_copy(update={"sources_dir": sources})
        return check_source_files(SyncRequest(source=source, options=options), changed, states)

    return run


def test_all_is_well(check: Any, files_root: Path, tmp_path: Path) -> None:
    (files_root / "companies.csv").write_text("id;Name\n1;a\n;b\n")
    (files_root / "notes.txt").write_text("hello")
    result = check()
    assert (result.is_well, result.rows, result.rejected, result.rejects) == (True, 2, 0, [])
    (file,) = result.tables[0].files
    assert (file.file, file.rows, file.without_key) == ("companies.csv", 2, 1)
    assert file.notes == ["companies.csv: its columns are separated by semicolon.", "companies.csv: took 'id' as ID."]
    assert result.missing_tables == ["hubspot_contacts", "hubspot_deals"] and result.unmapped_files == ["notes.txt"]
    assert not (tmp_path / "var").exists(), "nothing is spooled, and no warehouse is opened"


def test_everything_that_is_wrong_is_said_at_once(check: Any, files_root: Path) -> None:
    (files_root / "companies_1.csv").write_text("ID,Name\n1,a\n2\nx,jane@example.com,y\n")
    (files_root / "companies_2.csv").write_bytes(b"")
    (files_root / "contacts.csv.gz").write_text("no gzip")
    (files_root / "deals.csv").write_text("id,amount\n1,5\n")
    (files_root / "export.zip").write_text("no zip")
    result = check()
    assert (result.is_well, result.rows, result.rejected) == (False, 1, 2)
    assert [(one.table, one.file, one.line, one.reason) for one in result.rejects] == [
        ("hubspot_companies", "companies_1.csv", 3, "1 fields where the header has 2"),
        ("hubspot_companies", "companies_1.csv", 4, "3 fields where the header has 2"),
    ]
    assert "jane" not in result.model_dump_json()
    files = {file.file: file for table in result.tables for file in table.files}
    assert "it is empty" in files["companies_2.csv"].error and "Not a gzipped file" in files["contacts.csv.gz"].error
    assert (files["deals.csv"].missing_columns, files["deals.csv"].rows) == (["title"], 0)
    assert "no column title" in files["deals.csv"].error
    assert result.broken_files == {"export.zip": "as a zip archive: File is not a zip file"}


def test_rejects_beyond_the_first_thousand_are_counted(check: Any, files_root: Path) -> None:
    (files_root / "companies.csv").write_text("ID,Name\n" + "1\n" * 1500)
    result = check()
    assert (result.is_well, result.rejected, len(result.rejects), result.rejects[-1].line) == (False, 1500, 1000, 1001)


def test_a_folder_that_the_mapping_takes_nothing_of_is_not_well(check: Any, files_root: Path) -> None:
    (files_root / "people.csv").write_text("id\n1\n")
    result = check()
    assert (result.is_well, result.tables, result.unmapped_files) == (False, [], ["people.csv"])


def test_a_check_says_what_the_sync_then_does(
    check: Any, sync: Sync, query: Query, files_root: Path, tmp_path: Path
) -> None:
    (files_root / "companies.csv").write_text('ID,Name\n1,a\n2\n3,"x\n')
    (files_root / "contacts.csv").write_text("id\n7\n")
    before = check()
    options = {"mapping": "test", "path": str(files_root)}
    result = sync("files", options, sources_dir=tmp_path / "sources")
    assert (result["inserted"], result["rejected"]) == (before.rows, before.rejected) == (2, 2)
    assert result["first_rejects"] == [one.model_dump() for one in before.rejects]
    assert [file.has_landed for table in check().tables for file in table.files] == [True, True]
    (files_root / "contacts.csv").write_text("id\n7\n8\n")
    assert [file.has_landed for table in check().tables for file in table.files] == [True, False]


def test_other_sources_are_refused(check: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check("mock")
    assert caught.value.code == "check-not-supported"


def test_a_mapping_that_is_no_text(check: Any, tmp_path: Path) -> None:
    (tmp_path / "sources" / "test.yml").write_bytes(MAPPING.replace("test", "t\xe9st").encode("latin-1"))
    with pytest.raises(TerminalError, match="test.yml: byte 16 is not UTF-8; save the file as UTF-8") as caught:
        check()
    assert (caught.value.code, caught.value.status) == ("mapping-invalid", 422)


def test_no_room_for_what_is_packed(check: Any, files_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files_root / "companies.parquet.gz").write_bytes(gzip.compress(b"x" * 1000))
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: open("/dev/full", "w+b"))
    (file,) = check().tables[0].files
    assert "there is no space left in" in file.error and "The file may be well" in file.error


def test_packed_files_wait_on_the_data_folder_s_disk(
    check: Any, files_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere only where that can't be written to: a folder for temporary files is often memory."""
    folders: list[Path] = []

    def open_in(dir: Path) -> Any:
        folders.append(dir)
        return io.BytesIO()

    monkeypatch.setattr("tempfile.TemporaryFile", open_in)
    (files_root / "companies.parquet.gz").write_bytes(gzip.compress(b"no parquet"))
    check()
    monkeypatch.setattr("os.access", lambda *_: False)
    check()
    assert folders == [tmp_path / "var" / "spool", Path(tempfile.gettempdir())]
