"""The ladder of one account's questions, and what a job makes of a server that fails. Each fault: test_faults.py."""

import socket
from dataclasses import dataclass
from typing import Any

import pytest

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.errors import TerminalError, TransientError
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, answers, good
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings


@dataclass
class Bench:
    """One account, one job: scripts the server and shows what came of it."""

    warehouse: Warehouse
    settings: ScoringSettings
    ollama: FakeOllama

    def score(self, *script: str, job_id: str = "job-1") -> dict[str, Any]:
        self.ollama.script.extend(FAULTS.get(name, good) for name in script)
        return score_accounts(FakeJob(job_id), self.warehouse, OllamaModel(self.settings), self.settings)

    @property
    def lead(self) -> dict[str, Any]:
        return read_table(self.warehouse, "lead_scores")[0]

    @property
    def reject_codes(self) -> list[str]:
        rejects = sorted(read_table(self.warehouse, "score_rejects"), key=lambda row: row["attempt"])
        return [row["reason_code"] for row in rejects]


@pytest.fixture
def bench(warehouse: Warehouse, settings: ScoringSettings, ollama: FakeOllama, build_marts: BuildMarts) -> Bench:
    build_marts(account(1))
    return Bench(warehouse, settings, ollama)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("fenced", "not-json"),
        ("unknown-enum", "schema-violated"),
    ],
)
def test_an_unreadable_answer_is_asked_for_once_more_with_the_reason(bench: Bench, fault: str, code: str) -> None:
    result = bench.score(fault, "good")
    assert (result["llm_calls"], result["rejected_answers"], result["template_pitches"]) == (2, 1, 0)
    assert bench.reject_codes == [code]
    assert "Refused:" in bench.ollama.chats[1]["messages"][-1]["content"]
    assert bench.ollama.chats[0]["options"]["seed"] != bench.ollama.chats[1]["options"]["seed"]
    assert bench.lead["llm_score"] == 35


def test_unreadable_twice_is_the_baseline_labelled_as_such(bench: Bench) -> None:
    result = bench.score("out-of-range", "prose")
    assert (result["scored"], result["baseline_only"], result["template_pitches"]) == (1, 1, 1)
    lead = bench.lead
    assert (lead["lead_score"], lead["llm_score"], lead["score_source"]) == (31, None, "baseline")
    assert (lead["pitch_source"], lead["attempts"], lead["next_action"]) == ("template", 2, "wait")
    assert "61 vehicles" in lead["pitch"]
    rejects = read_table(bench.warehouse, "score_rejects")
    assert {row["raw_answer"][:4] for row in rejects} == {'{"cl', "Sure"}
    assert {(row["account_id"], row["job_id"]) for row in rejects} == {("hubspot:1", "job-1")}


def test_a_cut_answer_gets_more_tokens_once(bench: Bench) -> None:
    result = bench.score("length", "good")
    assert [chat["options"]["num_predict"] for chat in bench.ollama.chats] == [320, 640]
    assert (bench.reject_codes, result["baseline_only"]) == (["truncated"], 0)


@pytest.mark.parametrize("fault", ["done-false", "500-repeat"])
def test_an_answer_broken_off_for_repeats_gets_another_seed(bench: Bench, fault: str) -> None:
    result = bench.score(fault, "good")
    first, second = (chat["options"]["seed"] for chat in bench.ollama.chats)
    assert second == first + 1
    assert (bench.reject_codes, result["baseline_only"]) == (["aborted"], 0)


def test_never_more_than_three_questions(bench: Bench) -> None:
    result = bench.score("length", "done-false", "prose", "good")
    assert (result["llm_calls"], result["baseline_only"]) == (3, 1)
    assert bench.reject_codes == ["truncated", "aborted", "not-json"]


def test_a_refused_pitch_twice_keeps_the_score_and_takes_the_template(bench: Bench) -> None:
    bench.ollama.default = answers(pitch="We save you 40 percent at Falkor Freight, see www.example.com now.")
    result = bench.score()
    assert (result["llm_calls"], result["baseline_only"], result["template_pitches"]) == (2, 0, 1)
    assert bench.reject_codes == ["digit", "digit"]
    lead = bench.lead
    assert (lead["llm_score"], lead["lead_score"], lead["pitch_source"]) == (35, 35, "template")
    assert "Falkor" not in lead["pitch"] and "www" not in lead["pitch"] and "40" not in lead["pitch"]
    told = bench.ollama.chats[1]["messages"][-1]["content"]
    assert "no digits" in told and "Falkor" not in told


def test_a_claim_against_the_data_is_refused_and_never_stored(bench: Bench) -> None:
    bench.ollama.default = answers(
        claims=[{"field": "fleet_size", "polarity": "negative"}, {"field": "industry", "polarity": "positive"}]
    )
    assert bench.score()["template_pitches"] == 1
    assert bench.reject_codes == ["claim-contradicts-data"] * 2
    assert bench.lead["claims"] == '[{"field": "industry", "polarity": "positive"}]'


@pytest.mark.parametrize("llm_score", [0, 100])
def test_the_bound_holds_whatever_the_model_says(bench: Bench, llm_score: int) -> None:
    bench.ollama.default = answers(lead_score=llm_score)
    bench.score()
    assert (bench.lead["lead_score"], bench.lead["llm_score"]) == (41 if llm_score else 21, llm_score)


def test_a_model_that_is_not_installed_is_named_before_anything_is_asked(bench: Bench) -> None:
    bench.ollama.models = {"mistral:latest": "d"}
    with pytest.raises(TerminalError, match="ollama pull llama3.1"):
        bench.score()
    assert not bench.ollama.chats and not bench.ollama.warm_ups


def test_nobody_listens(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        bench.settings = to_settings(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TransientError, match="OLLAMA_HOST is http://127.0.0.1") as raised:
            bench.score()
    assert "ollama serve" in raised.value.detail


def test_one_account_that_breaks_the_server_does_not_stop_the_others(
    bench: Bench, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(account(1), account(2), account(3))
    result = bench.score("500", "500", "500", "500", "good", "good")  # the first account's four tries
    assert (result["scored"], result["baseline_only"]) == (3, 1)
    leads = {row["account_id"]: row["score_source"] for row in read_table(bench.warehouse, "lead_scores")}
    assert leads == {"hubspot:3": "baseline", "hubspot:1": "llm", "hubspot:2": "llm"}
    assert bench.reject_codes == ["model-error"]


def test_a_server_that_only_fails_opens_the_breaker_and_writes_no_baseline(
    bench: Bench, build_marts: BuildMarts
) -> None:
    build_marts(*(account(number) for number in range(1, 9)))
    bench.ollama.default = FAULTS["500"]
    with pytest.raises(TransientError) as raised:
        bench.score()
    assert raised.value.code == "model-unreachable"
    in_a_row, witnesses = bench.settings.breaker_accounts, bench.settings.breaker_accounts
    assert len(bench.ollama.chats) == bench.settings.tries * (in_a_row + witnesses)
    assert read_table(bench.warehouse, "lead_scores") == []


def test_two_hosts_share_a_job_and_one_may_die_on_the_way(bench: Bench, build_marts: BuildMarts) -> None:
    build_marts(*(account(number) for number in range(1, 13)))
    with FakeOllama() as second:
        bench.settings = to_settings(f"{bench.ollama.url},{second.url}")
        second.on_chat = lambda request: second.die() if len(second.chats) == 3 else None
        result = bench.score()
    assert (result["scored"], result["baseline_only"], result["llm_calls"]) == (12, 0, 12)
    assert (len(bench.ollama.chats), second.answered) == (10, 2), "the one that it took to its grave is asked again"
