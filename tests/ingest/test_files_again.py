"""Files that landed before are not read again, and nothing is different for it."""

import random
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain import loaded_files
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError
from tests.ingest.conftest import Query, Sync
from tests.ingest.folder_reading import FolderReading, ReadFolder, read_folder

MAPPING = """
description: test
tables:
  hubspot_companies:
    files: ["companies*"]
    key: [ID]
    columns: {id: ID, name: Name}
  hubspot_contacts:
    files: [contacts]
    key: [id]
    columns: {id: id}
"""


@pytest.fixture
def read(settings: IngestSettings, sources_dir: Path, files_root: Path) -> ReadFolder:
    jobs = (f"job-{number}" for number in count())

    def run(before: FolderReading | None = None, **options: Any) -> FolderReading:
        cursors = before.cursors if before else {}
        options = {"job_id": next(jobs), **options}
        return read_folder(
            settings.model_copy(update={"sources_dir": sources_dir}), files_root, cursors=cursors, **options
        )

    return run


@pytest.fixture
def write(files_root: Path) -> Callable[..., None]:
    def run(**files: str) -> None:
        for name, text in files.items():
            (files_root / f"{name}.csv").write_text("ID,Name\n" + text)

    return run


def test_known_files_are_skipped_and_counted(sync: Sync, query: Query, sources_dir: Path, files_root: Path) -> None:
    """With the real landing: the guard of volumes must not see a source that shrank."""
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n2,b\n3\n")
    (files_root / "contacts.csv").write_text("id\n7\n")
    options = {"mapping": "test", "path": str(files_root)}

    def run(job_id: str, mode: str = "incremental") -> dict[str, Any]:
        return sync("files", options, job_id=job_id, request={"mode": mode}, sources_dir=sources_dir)

    assert run("job-1")["inserted"] == 3
    (files_root / "contacts.csv").write_text("id\n7\n8\n")
    again = run("job-2")
    counts = {"seen": 3, "inserted": 0, "updated": 0, "unchanged": 2, "duplicates": 0, "rejected": 1}
    assert counts.items() <= again["tables"]["hubspot_companies"].items()
    assert again["tables"]["hubspot_contacts"]["inserted"] == 1
    assert any("Not read again" in note and "companies.csv" in note for note in again["notes"])
    full = run("job-3", "full")
    assert counts.items() <= full["tables"]["hubspot_companies"].items() and not full["notes"]
    loads = "select load_id, seen, rejected, is_complete from raw.loads where source_table = 'hubspot_companies'"
    assert query(f"{loads} order by load_id") == [(f"job-{n}", 3, 1, True) for n in (1, 2, 3)]


def test_another_warehouse_gets_all_files(
    sync: Sync, query: Query, sources_dir: Path, files_root: Path, empty_core: Path, tmp_path: Path
) -> None:
    """The memory is the operations database's: it must not make a warehouse that is new, or restored, stay empty."""
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    options = {"mapping": "test", "path": str(files_root)}
    assert sync("files", options, job_id="job-1", sources_dir=sources_dir)["inserted"] == 1
    shutil.copy(empty_core, next((tmp_path / "var").rglob("core.duckdb")))
    assert sync("files", options, job_id="job-2", sources_dir=sources_dir)["inserted"] == 1
    assert query("select id from raw.hubspot_companies") == [("1",)]


def test_nothing_is_remembered_that_did_not_land(sync: Sync, query: Query, sources_dir: Path, files_root: Path) -> None:
    options = {"mapping": "test", "path": str(files_root)}
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    (files_root / "contacts.csv").write_text("uid\n7\n")
    with pytest.raises(Exception, match="no column id"):
        sync("files", options, sources_dir=sources_dir)
    (files_root / "contacts.csv").write_text("id\n7\n")
    assert sync("files", options, job_id="job-2", sources_dir=sources_dir)["inserted"] == 2


def test_what_a_new_file_adds(read: ReadFolder, write: Callable[..., None]) -> None:
    write(companies_1="1,a\n", companies_2="2,b\n2\n")
    first = read()
    write(companies_3="3,c\n")
    second = read(first)
    assert (second.columns("id"), second.rejects, second.known) == ([("3",)], [], (2, 1))
    third = read(second)
    assert (third.rows, third.known) == ([], (3, 1))
    assert third.notes == [
        "Not read again, since they landed before as they are: companies_1.csv, companies_2.csv, companies_3.csv. "
        "mode=full reads all."
    ]


def test_an_attempt_after_the_landing_counts_nothing_twice(
    sync: Sync, query: Query, sources_dir: Path, files_root: Path
) -> None:
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n2,b\n")
    options = {"mapping": "test", "path": str(files_root)}
    for _ in range(2):
        sync("files", options, job_id="job-1", sources_dir=sources_dir)
    assert query("select seen, inserted from raw.loads where load_id = 'job-1'") == [(2, 2)]


def test_a_renamed_file_is_known_by_its_content(read: ReadFolder, write: Callable[..., None], files_root: Path) -> None:
    write(companies_1="1,a\n")
    first = read()
    (files_root / "companies_1.csv").rename(files_root / "companies_7.csv")
    assert (second := read(first)).rows == []
    assert read(second).rows == []


@pytest.mark.parametrize("change", ["mapping", "columns", "version"])
def test_what_reads_the_same_bytes_otherwise(
    read: ReadFolder, write: Callable[..., None], sources_dir: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(companies="1,a\n")
    first = read()
    if change == "mapping":
        (sources_dir / "test.yml").write_text(MAPPING.replace("name: Name", "domain: Name"))
    elif change == "columns":
        monkeypatch.setattr(loaded_files, "source_columns", lambda table: ["id", "name", "new"])
    else:
        monkeypatch.setattr(loaded_files, "_READERS_VERSION", 99)
    assert len(read(first).rows) == 1


def test_another_mapping_of_the_same_folder_has_its_own_memory(
    read: ReadFolder, write: Callable[..., None], sources_dir: Path
) -> None:
    write(companies="1,a\n")
    first = read()
    (sources_dir / "other.yml").write_text(MAPPING)
    assert len(read(first, mapping="other").rows) == 1


def test_skipping_gives_what_reading_everything_gives(read: ReadFolder, files_root: Path) -> None:
    """Whatever happens to the files: of a record the last version that is read counts, as in RAW."""
    dice = random.Random(11)
    raw: dict[str, str] = {}
    memory: FolderReading | None = None
    skipped = 0
    for _ in range(120):
        name = f"companies_{dice.randrange(5)}.csv"
        if dice.random() < 0.2:
            (files_root / name).unlink(missing_ok=True)
        elif dice.random() < 0.2 and (files_root / name).exists():
            (files_root / name).rename(files_root / f"companies_{dice.randrange(5)}.csv")
        elif dice.random() < 0.6:
            rows = "".join(f"{dice.randrange(4)},{dice.choice('abc')}\n" for _ in range(dice.randrange(1, 3)))
            (files_root / name).write_text("ID,Name\n" + rows)
        if not list(files_root.iterdir()):
            (files_root / name).write_text("ID,Name\n0,a\n")
        whole = read()
        part = read(memory)
        want, got = dict(raw), dict(raw)
        want.update((row["id"], row["name"]) for row in whole.rows)
        got.update((row["id"], row["name"]) for row in part.rows)
        assert got == want
        assert part.known[0] + len(part.rows) == len(whole.rows)
        raw, memory = want, part
        skipped += part.known[0]
    assert skipped > 100


def test_columns_of_all_files_are_the_tables_fields(read: ReadFolder, files_root: Path) -> None:
    (files_root / "companies_1.csv").write_text("ID,Name,x\n1,a,\n")
    (files_root / "companies_2.csv").write_text("Name,id,y\na,2,\n")
    first = read()
    assert first.fields == [dict.fromkeys(("ID", "Name", "x", "y"))]
    (files_root / "companies_3.csv").write_text("ID,Name,z\n3,c,\n")
    assert read(first).fields == [dict.fromkeys(("ID", "Name", "x", "y", "z"))]


def test_a_new_column_meets_the_policy(sync: Sync, query: Query, sources_dir: Path, files_root: Path) -> None:
    options = {"mapping": "test", "path": str(files_root)}
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    sync("files", options, sources_dir=sources_dir)
    (files_root / "companies.csv").write_text("ID,Name,vat\n1,a,\n2,b,DE1\n")
    frozen = {"on_schema_change": "freeze"}
    with pytest.raises(TerminalError, match="vat of hubspot_companies added"):
        sync("files", options, job_id="job-2", request=frozen, sources_dir=sources_dir)
    assert query("select count(*) from raw.hubspot_companies") == [(1,)]
    held = {"on_schema_change": "quarantine"}
    assert sync("files", options, job_id="job-3", request=held, sources_dir=sources_dir)["rejected"] == 1
