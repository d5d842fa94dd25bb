"""A batch is committed whole or not at all, on an engine too that commits at every create or drop (Snowflake)."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.adapters.upserts import prepare_outbound
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.jobs.context import LeaseLost
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table

_TABLES = ("lead_scores", "lead_score_history", "score_rejects")


@pytest.fixture
def statements(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """First two words of every statement on any connection, `create temporary` for a staging, and each commit."""
    noted: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        noted.append(" ".join(statement.split()[:2]).lower())

    def note_commit(_connection: object) -> None:
        noted.append("commit")

    stage = type(warehouse).stage

    def note_stage(self: Any, connection: sa.Connection, *staged: Any) -> None:
        noted.append("create temporary")  # DuckDB's staging goes past SQLAlchemy
        stage(self, connection, *staged)

    monkeypatch.setattr(type(warehouse), "stage", note_stage)
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    sa.event.listen(sa.Engine, "commit", note_commit)
    yield noted
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    sa.event.remove(sa.Engine, "commit", note_commit)


def test_nothing_that_commits_by_itself_comes_between_the_first_merge_and_the_check(
    warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, ollama: FakeOllama, statements: list[str]
) -> None:
    build_marts(account(1), account(2))
    prepare_outbound(warehouse)
    ollama.script.append(FAULTS["prose"])  # so that there is a reject to merge
    statements.clear()
    job = FakeJob(on_check=lambda: statements.append("check"))
    score_accounts(job, warehouse, OllamaModel(settings), settings)
    assert [len(read_table(warehouse, table)) for table in _TABLES] == [2, 2, 1]
    written = statements[statements.index("create temporary") :]
    written = written[: written.index("commit") + 1]
    assert written.count("create temporary") == written.count("merge into") == 3
    after = written[written.index("merge into") :]
    assert {one for one in after if not one.startswith("select")} == {"merge into", "check", "commit"}
    assert after[-2:] == ["check", "commit"]


def test_a_job_that_was_given_up_writes_none_of_the_three(
    warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1))
    ollama.script.append(FAULTS["prose"])

    def lose_lease() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        score_accounts(FakeJob(on_check=lose_lease), warehouse, OllamaModel(settings), settings)
    assert [read_table(warehouse, table) for table in _TABLES] == [[], [], []]
