"""Watched folders, and checks, through real APIs and `gtm`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import app
from services.ingest.adapters.files.plan import FilesOptions, plan_folder
from services.ingest.adapters.files.watch import FolderWatch
from services.ingest.settings import IngestSettings, WatchedFolder
from shared.contracts import SyncRequest
from shared.errors import TerminalError
from shared.operations.migrate import migrate
from tests.conftest import wait_until
from tests.servers import ApiServer

MAPPING = """
description: test
tables:
  hubspot_companies: {files: [companies], key: [ID], columns: {id: ID, name: Name}}
"""


@pytest.fixture
def watched(settings: IngestSettings, files_root: Path, tmp_path: Path) -> tuple[FolderWatch, list[str]]:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "test.yml").write_text(MAPPING)
    started: list[str] = []

    def start(request: SyncRequest, key: str) -> None:
        assert request == SyncRequest(source="files", options={"mapping": "test", "path": str(files_root)})
        if key not in started:  # as the job store does
            started.append(key)

    changed = {"sources_dir": tmp_path / "sources", "files_watch": (WatchedFolder(str(files_root), "test"),)}
    return FolderWatch(settings.model_copy(update=changed), start), started


def test_a_sync_is_due_once_the_files_are_left_alone(
    watched: tuple[FolderWatch, list[str]], files_root: Path, tmp_path: Path
) -> None:
    watch, started = watched
    companies = files_root / "companies.csv"
    watch.look()
    watch.look()
    assert started == [], "the folder has no file that the mapping takes"
    companies.write_text("ID,Name\n1,")
    watch.look()
    with companies.open("a") as file:
        file.write("a\n")
    watch.look()
    assert started == [], "the file is still being written"
    watch.look()
    watch.look()
    assert len(started) == 1
    (files_root / "companies.csv.part").write_text("another")
    watch.look()
    watch.look()
    assert len(started) == 1, "no file of the mapping"
    (files_root / "companies.csv.part").rename(companies)
    watch.look()
    watch.look()
    assert len(started) == 2
    (tmp_path / "sources" / "test.yml").write_text(MAPPING.replace("name: Name", "domain: Name"))
    watch.look()
    watch.look()
    again = FolderWatch(watch._settings, watch._start)  # after a restart: the same key, so no other job
    again.look()
    again.look()
    assert len(started) == 3, "another mapping makes other rows of the same file"


def test_a_folder_that_can_not_be_read_is_not_fatal(watched: tuple[FolderWatch, list[str]], files_root: Path) -> None:
    watch, started = watched
    files_root.rename(files_root.with_name("gone"))
    watch.look()
    watch.look()
    files_root.mkdir()
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    watch.look()
    watch.look()
    assert len(started) == 1


def test_what_starts_no_job_is_tried_again_and_holds_up_no_other_folder(
    settings: IngestSettings, files_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "test.yml").write_text(MAPPING)
    (tmp_path / "sources" / "latin.yml").write_bytes(MAPPING.replace("test", "t\xe9st").encode("latin-1"))
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    problems: list[Exception] = [RuntimeError("boom"), TerminalError("taken", code="idempotency-key-reused", title="")]
    started: list[str] = []

    def start(request: SyncRequest, key: str) -> None:
        if problems:
            raise problems.pop()
        started.append(request.options["path"])

    folders = tuple(WatchedFolder(str(files_root), mapping) for mapping in ("latin", "test"))
    watch = FolderWatch(
        settings.model_copy(update={"sources_dir": tmp_path / "sources", "files_watch": folders}), start
    )
    for _ in range(5):
        watch.look()
    assert started == [str(files_root.resolve())] * 2 and not problems


def test_a_folder_has_one_name_however_it_is_spelled(
    watched: tuple[FolderWatch, list[str]], files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is the same, so the request must be: another one under it is refused."""
    watch, started = watched
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    monkeypatch.chdir(files_root.parent)
    other = watch._settings.model_copy(update={"files_watch": (WatchedFolder(f"./{files_root.name}/.", "test"),)})
    for one in (watch, FolderWatch(other, watch._start)):
        one.look()
        one.look()
    assert len(started) == 1


def test_a_name_that_is_no_text(watched: tuple[FolderWatch, list[str]], files_root: Path) -> None:
    watch, started = watched
    (files_root / "companies.csv").write_text("ID,Name\n1,a\n")
    (files_root / "export.zip").write_bytes(b"no zip")
    os.rename(files_root / "export.zip", os.fsencode(files_root) + b"/caf\xe9.zip")
    os.close(os.open(os.fsencode(files_root) + b"/caf\xe9.csv", os.O_CREAT))
    watch.look()
    watch.look()
    assert len(started) == 1
    plan = plan_folder(FilesOptions(mapping="test", path=str(files_root)), watch._settings)
    assert plan.unmapped_files == ("caf\\xe9.csv",)
    assert [file.name for file in plan.broken_files] == ["caf\\xe9.zip"]


def test_pairs_come_from_one_setting() -> None:
    settings = IngestSettings(GTM_FILES_WATCH="data/a=hubspot_export:/srv/b=c=billing")
    assert settings.files_watch == (("data/a", "hubspot_export"), ("/srv/b=c", "billing"))
    with pytest.raises(ValueError, match="folder=mapping is wanted"):
        IngestSettings(GTM_FILES_WATCH="data/a")


@pytest.fixture
def apis(tmp_path: Path, files_root: Path) -> Iterator[list[ApiServer]]:
    """Two of them over one operations database; nobody carries messages, and no worker takes the jobs."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "test.yml").write_text(MAPPING)
    (tmp_path / "var").mkdir()
    migrate(f"sqlite:///{tmp_path / 'var' / 'operations.sqlite3'}")
    env = {
        "GTM_DATA_DIR": str(tmp_path / "var"),
        "GTM_ENV": "local",
        "GTM_ENV_FILE": os.devnull,
        "GTM_FILES_ROOTS": str(files_root),
        "GTM_SOURCES_DIR": str(tmp_path / "sources"),
        "GTM_FILES_WATCH": f"{files_root / 'drop'}=test",
        "GTM_FILES_WATCH_SECONDS": "0.1",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    servers = [ApiServer("ingest", tmp_path / f"logs{number}", env) for number in range(2)]
    try:
        yield servers
    finally:
        for server in servers:
            server.kill()


@pytest.mark.processes
def test_two_watching_apis_start_one_sync_and_answer_checks(
    apis: list[ApiServer], files_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = files_root / "drop"
    drop.mkdir()
    (drop / "companies.csv").write_text("ID,Name\n1,a\n")
    for api in apis:
        api.wait_ready()
    wait_until(lambda: _jobs(apis[0]), "the folder is synced")
    (drop / "new.csv").write_text("ID,Name\n2\n")
    (drop / "new.csv").rename(drop / "companies.csv")
    wait_until(lambda: len(_jobs(apis[1])) == 2, "the changed folder is synced")

    monkeypatch.setenv("GTM_INGEST_URL", apis[0].url)
    monkeypatch.chdir(tmp_path)
    exit_code, text = _gtm("sync", "files", "--check", "-o", "mapping=test", "-o", f"path={drop}")
    assert exit_code == 1 and "companies.csv line 2 (for hubspot_companies): 1 fields where the header has 2" in text
    (drop / "companies.csv").write_text("id,Name\n1,a\n")
    exit_code, text = _gtm("sync", "files", "--check", "-o", "mapping=test", "-o", f"path={drop}")
    assert exit_code == 0 and "took 'id' as ID" in text and "would land 1 row" in text
    exit_code, text = _gtm("sync", "files", "--check", "--json", "-o", "mapping=test", "-o", f"path={drop}")
    assert (exit_code, json.loads(text)["tables"][0]["files"][0]["rows"]) == (0, 1)
    assert _gtm("sync", "mock", "--check")[0] == 2
    wait_until(lambda: len(_jobs(apis[1])) == 3, "the changed folder is synced once more")
    requests = {json.dumps(job["request"], sort_keys=True) for job in _jobs(apis[0])}
    assert len(requests) == 1 and len(_jobs(apis[0])) == 3, "checks start no job"


def _jobs(api: ApiServer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = httpx.get(f"{api.url}/v1/jobs", params={"kind": "sync"}, timeout=10).json()["items"]
    return items


def _gtm(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), prog_name="gtm")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout
