"""Every fault of a model server: which row it leaves, how the job ends, and what the operator reads.

All faults that a job survives meet it at once, one account each; the others each end a job of their own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.scoring import tasks
from services.scoring.adapters.models import open_model
from services.scoring.flow import score_accounts
from shared.contracts import JobKind, JobState
from shared.errors import GtmError
from shared.jobs import dispatch
from shared.jobs.store import JobStore
from shared.operations.database import OperationsDatabase
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, account_of, good
from tests.fakes.ollama_wire import Reply
from tests.scoring.conftest import FakeJob, account, read_table, to_settings, write_marts

_TRIES = 2
_FLEET = 60  # `account(number)` has so many vehicles and `number` more: by them a question tells its account


@dataclass(frozen=True)
class Fate:
    """`refusals`: reject codes of a fault that passes. `source`: of the score and the pitch where it stays."""

    refusals: tuple[str, ...] = ()
    source: tuple[str, str] = ("llm", "llm")
    lasting_refusals: tuple[str, ...] = ()


def _asked_again(code: str) -> Fate:
    return Fate((code,), ("baseline", "template"), (code, code))


UNNOTICED = Fate()
COSTS_A_TRY = Fate((), ("baseline", "template"), ("model-error",))
SURVIVED = {
    **dict.fromkeys(("padded", "alphabetical", "backwards", "chunked", "other-text"), UNNOTICED),
    **dict.fromkeys(("500", "500-memory", "500-load", "500-option", "no-message", "null-content"), COSTS_A_TRY),
    **dict.fromkeys(("reset", "reset-mid-body", "cut-chunks", "499", "502-html", "504-html"), COSTS_A_TRY),
    **dict.fromkeys(("drip", "late"), COSTS_A_TRY),
    **dict.fromkeys(("done-false", "500-repeat"), _asked_again("aborted")),
    **dict.fromkeys(("length", "endless-space"), _asked_again("truncated")),
    **dict.fromkeys(("prose", "fenced", "twice-a-key", "silent-cut"), _asked_again("not-json")),
    **dict.fromkeys(("extra-key", "missing-key", "out-of-range", "unknown-enum"), _asked_again("schema-violated")),
    "empty": _asked_again("empty-answer"),
    "hostile": Fate(("digit",), ("llm", "template"), ("digit", "digit")),  # the first of many reasons
}
NOT_TAKEN = {"503": "maximum pending requests", "429": "too many requests"}
FATAL = {
    "404-model": ("model-missing", "ollama pull llama3.1"),
    "404-model-scheduler": ("model-missing", "ollama pull llama3.1"),
    "404-page": ("model-endpoint-missing", "no Ollama server"),
    "405": ("model-endpoint-missing", "no Ollama server"),
    "200-html": ("model-endpoint-missing", "no Ollama server"),
    "200-list": ("model-endpoint-missing", "no Ollama server"),
    "400-body": ("model-request-refused", "missing request body"),
    "400-model": ("model-request-refused", "model is required"),
    "400-thinking": ("model-request-refused", "does not support thinking"),
    "400-other": ("model-request-refused", "invalid JSON schema"),
    "400-context": ("model-context-exceeded", "GTM_MODEL_NUM_CTX"),
}


@dataclass
class Ward:
    """A warehouse with one account for each fault, and the server that has them all."""

    warehouse: Warehouse
    ollama: FakeOllama

    def score(self, **changes: Any) -> dict[str, Any]:
        """One job over everyone, one question at a time."""
        quick = {"GTM_MODEL_TRIES": _TRIES, "GTM_MODEL_ANSWER_TIMEOUT_SECONDS": 0.15, "GTM_MODEL_BREAKER_ACCOUNTS": 99}
        settings = to_settings(self.ollama.url, **{**quick, **changes})
        return score_accounts(FakeJob(), self.warehouse, open_model(settings), settings)

    def rows(self) -> dict[str, tuple[dict[str, Any], tuple[str, ...]]]:
        """By fault: the lead, and the codes of its rejects in the order of the attempts."""
        leads = {row["account_id"]: row for row in read_table(self.warehouse, "lead_scores")}
        rejects = sorted(read_table(self.warehouse, "score_rejects"), key=lambda row: row["attempt"])
        return {
            fault: (leads[of], tuple(row["reason_code"] for row in rejects if row["account_id"] == of))
            for fault, number in _numbers().items()
            if (of := f"hubspot:{number}") in leads
        }


def _numbers() -> dict[str, int]:
    return {fault: number for number, fault in enumerate(SURVIVED, start=1)}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with FakeOllama() as fake:
        yield _to_ward(tmp_path_factory.mktemp("ward"), fake)


def _to_ward(folder: Path, fake: FakeOllama) -> Ward:
    warehouse = open_warehouse(WarehouseSettings(GTM_DATA_DIR=folder))
    write_marts(warehouse, [account(number) for number in _numbers().values()])
    return Ward(warehouse, fake)


def _by_account(request: dict[str, Any]) -> str:
    return list(SURVIVED)[account_of(request)["slots"]["fleet_size"] - _FLEET - 1]


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every fault has come once, and the second question got a good answer."""
    met: set[str] = set()

    def once(request: dict[str, Any]) -> Reply:
        fault = _by_account(request)
        reply = good if fault in met else FAULTS[fault]
        met.add(fault)
        return reply(request)

    with FakeOllama() as fake:
        fake.default = once
        ward = _to_ward(tmp_path_factory.mktemp("passed"), fake)
        yield ward.score(), ward.rows(), fake


@pytest.fixture(scope="module")
def stayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every fault comes whenever its account is asked about, beside accounts that are answered well."""
    with FakeOllama() as fake:
        fake.default = lambda request: FAULTS[_by_account(request)](request)
        ward = _to_ward(tmp_path_factory.mktemp("stayed"), fake)
        yield ward.score(), ward.rows(), fake


def test_every_fault_has_its_fate() -> None:
    assert SURVIVED.keys() | NOT_TAKEN.keys() | FATAL.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", SURVIVED)
def test_a_fault_that_passes_leaves_the_row_of_a_good_answer(passed: Any, fault: str) -> None:
    lead, refusals = passed[1][fault]
    assert (lead["score_source"], lead["pitch_source"], refusals) == ("llm", "llm", SURVIVED[fault].refusals)
    assert lead["llm_score"] == lead["baseline_score"] + 4


@pytest.mark.parametrize("fault", SURVIVED)
def test_a_fault_that_stays_leaves_a_row_that_says_so(stayed: Any, fault: str) -> None:
    lead, refusals = stayed[1][fault]
    fate = SURVIVED[fault]
    assert (lead["score_source"], lead["pitch_source"]) == fate.source
    assert refusals == fate.lasting_refusals
    if fate.source[0] == "baseline":
        assert (lead["lead_score"], lead["llm_score"]) == (lead["baseline_score"], None)
    if fate.source[1] == "template":
        assert f"{_FLEET + _numbers()[fault]} vehicles" in lead["pitch"]
        assert not any(word in lead["pitch"] for word in ("HACKED", "evil", "Falkor", "0800", "40 percent", "<b>"))


@pytest.mark.parametrize("which", ["passed", "stayed"])
def test_a_job_ends_well_whatever_its_accounts_met(request: pytest.FixtureRequest, which: str) -> None:
    result, rows, fake = request.getfixturevalue(which)
    assert result["scored"] == result["candidates"] == len(rows) == len(SURVIVED)
    assert fake.runner.loads == 1, "the options of every question are the same, or the server had loaded again"
    assert {json.dumps(chat["format"]) for chat in fake.chats} == {json.dumps(fake.chats[0]["format"])}
    assert {(chat["stream"], chat["truncate"]) for chat in fake.chats} == {(False, False)}


@pytest.mark.parametrize("fault", [*NOT_TAKEN, "502-html", "reset", "cut-chunks", "500", "late"])
def test_a_server_that_does_nothing_else_is_a_job_to_be_tried_again(ward: Ward, fault: str) -> None:
    ward.ollama.default = FAULTS[fault]
    with pytest.raises(GtmError) as raised:
        ward.score(GTM_MODEL_BREAKER_ACCOUNTS=2)
    assert raised.value.is_transient and raised.value.code == "model-unreachable"
    assert f"OLLAMA_HOST is {ward.ollama.url}" in raised.value.detail
    assert NOT_TAKEN.get(fault, "last failure: http") in raised.value.detail
    assert ward.rows() == {}, "no baseline is written for want of a server"


@pytest.mark.parametrize("fault", FATAL)
def test_what_a_repeat_cannot_mend_stops_the_job_at_once(ward: Ward, fault: str) -> None:
    code, words = FATAL[fault]
    ward.ollama.default = FAULTS[fault]
    ward.ollama.chats.clear()
    with pytest.raises(GtmError) as raised:
        ward.score()
    assert not raised.value.is_transient and raised.value.code == code
    assert words in raised.value.detail
    is_of_the_host = code in ("model-missing", "model-endpoint-missing")  # which was well when the job began
    assert len(ward.ollama.chats) == (_TRIES if is_of_the_host else 1)
    assert ward.rows() == {}


@pytest.mark.parametrize(
    ("fault", "most_attempts", "state", "code"),
    [
        ("prose", 3, JobState.SUCCEEDED, None),
        ("503", 3, JobState.RUNNING, "model-unreachable"),  # until its next attempt is due
        ("503", 1, JobState.FAILED, "model-unreachable"),
        ("404-model", 3, JobState.FAILED, "model-missing"),
    ],
)
def test_the_job_shows_how_it_ended(
    warehouse: Warehouse,
    ollama: FakeOllama,
    operations: OperationsDatabase,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    most_attempts: int,
    state: JobState,
    code: str | None,
) -> None:
    write_marts(warehouse, [account(1)])
    ollama.default = FAULTS[fault]
    changes = {"OLLAMA_HOST": ollama.url, "GTM_MODEL_PATIENCE_SECONDS": "0.1", "GTM_MODEL_BACKOFF_SECONDS": "0"}
    for name, value in {**changes, "GTM_MAX_ATTEMPTS": str(most_attempts)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dispatch, "publish", lambda app, ticket: None)
    started = JobStore(operations).start(JobKind.SCORING, {"force": True}).job
    tasks.score_accounts(started.id)
    job = JobStore(operations).get(started.id)
    assert (job.state, job.attempts, (job.error or {}).get("code")) == (state, 1, code)
