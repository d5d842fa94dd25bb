"""Fields that files did not have before: what each policy makes of their rows, in a sync and in a check."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.ingest.adapters.sources import check_source_files
from services.ingest.domain.file_check import FilesCheck
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.errors import TerminalError
from tests.ingest.conftest import Query, Sync
from tests.source_states import MemoryStates

MAPPING = """
description: test
tables:
  hubspot_companies: {files: ["companies*"], key: [ID], columns: {id: ID, name: {column: Name, optional: true}}}
"""
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(sync: Sync, sources_dir: Path, files_root: Path) -> Run:
    jobs = (f"job-{number}" for number in count())
    options = {"mapping": "test", "path": str(files_root)}

    def run(policy: str = "evolve", mode: str = "incremental") -> dict[str, Any]:
        request = {"on_schema_change": policy, "mode": mode}
        return sync("files", options, job_id=next(jobs), request=request, sources_dir=sources_dir)

    return run


@pytest.fixture
def check(settings: IngestSettings, states: MemoryStates, sources_dir: Path, files_root: Path) -> Any:
    def run(policy: str) -> FilesCheck:
        options = {"mapping": "test", "path": str(files_root)}
        request = SyncRequest.model_validate({"source": "files", "options": options, "on_schema_change": policy})
        return check_source_files(request, settings.model_copy(update={"sources_dir": sources_dir}), states)

    return run


def ids(query: Query) -> list[str]:
    return [row[0] for row in query("select id from raw.hubspot_companies order by id")]


def test_rows_that_were_held_back_land_once_their_field_is_accepted(run: Run, query: Query, files_root: Path) -> None:
    """Also of files behind: of a record that is in several the last one counts."""
    (files_root / "companies_1.csv").write_text("ID,Name\n1,a\n")
    run()
    (files_root / "companies_2.csv").write_text("ID,Name,vat\n2,b,\n3,c,DE3\n")
    (files_root / "companies_3.csv").write_text("ID,Name\n2,last\n")
    held = run("quarantine")
    assert (held["inserted"], held["rejected"], held["seen"]) == (1, 1, 4)
    assert held["first_rejects"][0]["file"] == "companies_2.csv"
    again = run("quarantine")
    assert (again["unchanged"], again["rejected"], again["seen"]) == (2, 1, 4)
    accepted = run()
    assert (accepted["inserted"], accepted["rejected"], ids(query)) == (1, 0, ["1", "2", "3"])
    assert query("select name from raw.hubspot_companies where id = '2'") == [("last",)]
    assert any("companies_3.csv" in note for note in run()["notes"]), "all are known now"


def test_a_new_field_of_json_lines_meets_the_policy(run: Run, query: Query, files_root: Path) -> None:
    (files_root / "companies_1.jsonl").write_text('{"ID": 1, "Name": "a"}\n')
    assert run()["schema_changes"] == []
    (files_root / "companies_2.jsonl").write_text('{"ID": 2}\n{"ID": 3, "vat": "DE3"}\n')
    with pytest.raises(TerminalError, match="vat of hubspot_companies added"):
        run("freeze")
    assert ids(query) == ["1"]
    held = run("quarantine")
    assert (held["inserted"], held["rejected"], ids(query)) == (1, 1, ["1", "2"])
    assert [(one["field"], one["change"]) for one in held["schema_changes"]] == [("vat", "added")]
    assert (run()["inserted"], ids(query)) == (1, ["1", "2", "3"])


def test_what_lines_of_json_leave_out_is_not_gone(run: Run, files_root: Path) -> None:
    (files_root / "companies.jsonl").write_text('{"ID": 1, "Name": "a", "Note": "x"}\n')
    run()
    (files_root / "companies.jsonl").write_text('{"ID": 1, "Name": "a"}\n')
    assert run("freeze")["schema_changes"] == []
    (files_root / "companies.jsonl").write_text('{"ID": 1, "Note": "y"}\n')
    assert run("freeze")["updated"] == 1


@pytest.mark.parametrize("names", [("companies.csv",), ("companies.csv", "companies_0.csv"), ("companies.jsonl",)])
def test_a_check_says_what_the_policy_makes_of_new_fields(
    run: Run, check: Any, files_root: Path, names: tuple[str, ...]
) -> None:
    def write(*rows: tuple[str, str, str | None]) -> None:
        lines = [f"{one},{name},{vat or ''}" for one, name, vat in rows]
        header = "ID,Name,vat" if any(vat for *_, vat in rows) else "ID,Name"
        text = "\n".join([header, *(lines if "vat" in header else [line.rstrip(",") for line in lines])]) + "\n"
        if names[0].endswith("jsonl"):
            text = "".join(
                f'{{"ID": "{one}", "Name": "{name}"' + (f', "vat": "{vat}"}}\n' if vat else "}\n")
                for one, name, vat in rows
            )
        (files_root / names[0]).write_text(text)

    for other in names[1:]:
        (files_root / other).write_text("ID,Name\n0,z\n")
    write(("1", "a", None))
    run()
    write(("1", "a", None), ("2", "b", "DE2"))
    rows = len(names) + 1
    assert (check("evolve").rows, check("evolve").is_well) == (rows, True)
    held = check("quarantine")
    assert (held.rows, held.rejected, held.is_well, held.rejects[0].file) == (rows - 1, 1, False, names[0])
    assert "new field vat" in held.rejects[0].reason
    frozen = check("freeze")
    (error,) = [file.error for file in frozen.tables[0].files if file.error]
    assert not frozen.is_well and "vat of hubspot_companies added" in error
    result = run("quarantine")
    assert (result["rejected"], result["inserted"]) == (held.rejected, 0)
