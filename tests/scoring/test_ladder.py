"""Every fault of a model server: which row, which state, which message it leaves."""

import socket
from dataclasses import dataclass
from typing import Any

import pytest

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.errors import GtmError, TerminalError, TransientError
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


@pytest.mark.parametrize("fault", ["500", "502-html", "503", "429", "reset", "no-message"])
def test_a_passing_fault_costs_a_try_and_leaves_no_trace(bench: Bench, fault: str) -> None:
    result = bench.score(fault, fault, "good")
    assert (result["scored"], result["llm_calls"], result["rejected_answers"]) == (1, 1, 0)
    assert bench.lead["score_source"] == "llm"
    assert len(bench.ollama.chats) == 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("prose", "not-json"),
        ("fenced", "not-json"),
        ("empty", "empty-answer"),
        ("extra-key", "schema-violated"),
        ("out-of-range", "schema-violated"),
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


def test_white_space_around_an_answer_is_no_fault(bench: Bench) -> None:
    assert bench.score("padded")["rejected_answers"] == 0


def test_a_cut_answer_gets_more_tokens_once(bench: Bench) -> None:
    result = bench.score("length", "good")
    assert [chat["options"]["num_predict"] for chat in bench.ollama.chats] == [320, 640]
    assert (bench.reject_codes, result["baseline_only"]) == (["truncated"], 0)


def test_a_cut_answer_twice_is_the_baseline(bench: Bench) -> None:
    assert bench.score("length", "length")["baseline_only"] == 1
    assert bench.reject_codes == ["truncated", "truncated"]


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


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("404-model", "model-missing", "ollama pull llama3.1"),
        ("404-model-scheduler", "model-missing", "ollama pull llama3.1"),
        ("404-page", "model-endpoint-missing", "no Ollama server"),
        ("400-context", "model-context-exceeded", "GTM_MODEL_NUM_CTX"),
        ("400-other", "model-request-refused", "invalid JSON schema"),
    ],
)
def test_what_a_repeat_cannot_mend_stops_the_job_at_once(bench: Bench, fault: str, code: str, words: str) -> None:
    with pytest.raises(TerminalError, match=words) as raised:
        bench.score(fault)
    assert raised.value.code == code
    assert len(bench.ollama.chats) == 1
    assert read_table(bench.warehouse, "lead_scores") == []


def test_a_model_that_is_not_installed_is_named_before_anything_is_asked(bench: Bench) -> None:
    bench.ollama.models = {"mistral:latest": "d"}
    with pytest.raises(TerminalError, match="ollama pull llama3.1"):
        bench.score()
    assert not bench.ollama.chats and not bench.ollama.warm_ups


@pytest.mark.parametrize("fault", ["503", "502-html", "reset"])
def test_a_server_that_stays_away_is_a_transient_error(bench: Bench, fault: str) -> None:
    bench.ollama.default = FAULTS[fault]
    with pytest.raises(TransientError) as raised:
        bench.score()
    assert raised.value.code == "model-unreachable"
    assert len(bench.ollama.chats) == bench.settings.tries
    assert read_table(bench.warehouse, "lead_scores") == []


def test_nobody_listens(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        bench.settings = to_settings(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TransientError, match="OLLAMA_HOST is http://127.0.0.1") as raised:
            bench.score()
    assert "ollama serve" in raised.value.detail


def test_no_answer_in_time(bench: Bench) -> None:
    import threading

    release = threading.Event()
    bench.ollama.on_chat = lambda request: release.wait(20) and None
    bench.settings = to_settings(bench.ollama.url, GTM_MODEL_ANSWER_TIMEOUT_SECONDS=0.2, GTM_MODEL_TRIES=2)
    try:
        with pytest.raises(TransientError, match="gave no answer within"):
            bench.score()
    finally:
        release.set()


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
    assert len(bench.ollama.chats) == bench.settings.tries * bench.settings.breaker_accounts
    assert read_table(bench.warehouse, "lead_scores") == []


def test_two_hosts_share_the_work_and_one_may_fall(bench: Bench, build_marts: BuildMarts, warehouse: Warehouse) -> None:
    build_marts(*(account(number) for number in range(1, 7)))
    with FakeOllama() as second:
        bench.settings = to_settings(f"{bench.ollama.url},{second.url}", OLLAMA_NUM_PARALLEL=2)
        bench.ollama.default = FAULTS["reset"]
        assert bench.score()["scored"] == 6
        assert len(second.chats) == 6
    assert 1 <= len(bench.ollama.chats) <= 2  # left alone once it failed


def test_hosts_with_different_builds_of_the_model_are_refused(bench: Bench) -> None:
    with FakeOllama({"llama3.1:latest": "digest-two"}) as second:
        bench.settings = to_settings(f"{bench.ollama.url},{second.url}")
        with pytest.raises(TerminalError) as raised:
            bench.score()
    assert raised.value.code == "model-differs"


@pytest.mark.parametrize("host", ["ftp://model", "http://", ",", "http://[::1"])
def test_an_unreadable_address_is_named(host: str) -> None:
    with pytest.raises(GtmError, match="OLLAMA_HOST") as raised:
        OllamaModel(to_settings(host))
    assert raised.value.code == "model-host-invalid"


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("gpu:8000", "http://gpu:8000"),
        ("gpu", "http://gpu:11434"),
        ("https://models.example/", "https://models.example"),
        ("http://a:1, http://b:2,http://a:1", "http://a:1, http://b:2"),
    ],
)
def test_addresses_are_read_as_ollama_reads_them(setting: str, address: str) -> None:
    assert OllamaModel(to_settings(setting)).address == address
