"""Files made to fill memory, disk or time: each is refused, or read as what it is, within a bound."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.readers import read_file
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from shared.errors import TerminalError
from tests.conftest import REPOSITORY
from tests.ingest.bombs import BOMBS, MAPPING, parquet_of_a_large_page

_PEAK_MB = 900
_SECONDS = 20.0


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("bombs")
    (root / "sources").mkdir()
    (root / "sources" / "bombs.yml").write_text(MAPPING)
    for name, (_, make, _) in BOMBS.items():
        folder = root / "files" / name.replace(".", "_")
        folder.mkdir(parents=True)
        content = make()
        assert len(content) < 10 << 20, f"{name}: small on disk"
        (folder / name).write_bytes(content)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.ingest.bombs", str(root)], capture_output=True, text=True, cwd=REPOSITORY
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, f"after {lines[-1:]}: {ended.stderr[-2000:]}"
    return {line["file"]: line for line in lines}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    code, _, said = BOMBS[name]
    outcome = outcomes[name.replace(".", "_")]
    assert (outcome["code"], said in outcome["detail"]) == (code, True), outcome
    assert outcome["seconds"] < _SECONDS and outcome["peak_mb"] < _PEAK_MB, outcome
    assert len(outcome["detail"]) < 1000


def test_a_check_has_room_for_less_than_a_sync(tmp_path: Path) -> None:
    path = tmp_path / "page.parquet"
    path.write_bytes(parquet_of_a_large_page())
    assert path.stat().st_size < 1 << 20
    mapping = TableMapping.model_validate({"files": ["page"], "key": ["ID"], "columns": {"id": "ID"}})
    unpacker = Unpacker(tmp_path, 100, memory_megabytes=16)
    with pytest.raises(TerminalError, match="smaller row groups") as refused:
        list(read_file(DataFile(path), mapping, FileReading("hubspot_companies", path.name), unpacker, 1000))
    assert refused.value.code == "file-unreadable"


def test_rows_are_unpacked_a_few_at_a_time_where_they_are_long(tmp_path: Path) -> None:
    """Otherwise as before: the rows of a file come whole and in their order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "mixed.parquet"
    values = ["short", "x" * 5_000_000, None, ""] * 20
    nested = [[{"a": ["b", None]}, None], None, [], [{"a": None}]] * 20
    table = pa.table({"ID": [str(number) for number in range(80)], "Name": values, "Nested": nested})
    pq.write_table(table, path, row_group_size=30)
    mapping = TableMapping.model_validate({"files": ["mixed"], "key": ["ID"], "columns": {"id": "ID", "name": "Name"}})
    batches = list(
        read_file(
            DataFile(path), mapping, FileReading("hubspot_companies", path.name), Unpacker(tmp_path, 1000), 1_000_000
        )
    )
    assert [value for batch in batches for value in batch.columns["Name"].to_pylist()] == values
    assert [value for batch in batches for value in batch.columns["ID"].to_pylist()] == table["ID"].to_pylist()
    assert max(batch.columns["Name"].nbytes for batch in batches) < 3 * (64 << 20)
