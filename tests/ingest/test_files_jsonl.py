"""JSON lines: each says by itself what it holds, and once."""

from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.files import json_lines
from services.ingest.settings import IngestSettings
from tests.ingest.folder_reading import FolderReading, ReadFolder, read_folder

MAPPING = """
description: test
tables:
  hubspot_companies: {files: ["companies*"], key: [ID], columns: {id: ID, name: {column: Name, optional: true}}}
"""


@pytest.fixture
def read(settings: IngestSettings, sources_dir: Path, files_root: Path) -> ReadFolder:
    def run(**options: Any) -> FolderReading:
        return read_folder(settings.model_copy(update={"sources_dir": sources_dir}), files_root, **options)

    return run


def test_a_name_twice_costs_its_line(read: ReadFolder, files_root: Path) -> None:
    lines = ['{"ID": 1, "Name": "a", "Name": "b"}', '{"ID": 2, "x": {"y": 1, "y": 2}}', '{"ID": 3, "x": {"ID": 4}}']
    (files_root / "companies.jsonl").write_text("\n".join(lines))
    result = read()
    assert [row["id"] for row in result.rows] == ["3"]
    assert [(one.line, one.reason.split(";")[0]) for one in result.rejects] == [
        (1, "the object names Name twice"),
        (2, "the object names y twice"),
    ]


def test_long_broken_lines_are_kept_in_part(
    read: ReadFolder, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "BATCH_BYTES", 100_000)
    (files_root / "companies.jsonl").write_text(("x" * 40_000 + "\n") * 10)
    result = read()
    assert len(result.rejects) == 10 and max(result.batches) == 3
    assert all(len(one.content) < 10_000 for one in result.rejects)
