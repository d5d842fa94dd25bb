"""Ollama's wire contract as the client keeps it: loads, evictions, windows, keys, addresses."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.adapters.models import open_model
from services.scoring.domain.answer import ANSWER_SCHEMA
from shared.errors import GtmError, TerminalError
from shared.settings import explain_wrong_settings
from tests.fakes.ollama import FakeOllama, Reply, says, to_json
from tests.scoring.conftest import to_settings
from tests.scoring.test_model_hosts import ask, with_model

LONG = [{"role": "user", "content": "vans " * 4000}]


def code_of(work: Callable[[], Any]) -> str:
    """The problem that `work` ends with."""
    with pytest.raises(TerminalError) as raised:
        work()
    return raised.value.code


async def describe(model: LeadModel) -> tuple[str, str]:
    return await model.describe()


async def warm_up(model: LeadModel) -> None:
    await model.warm_up()


def test_a_warm_server_lets_everyone_wait_and_turns_nobody_away(ollama: FakeOllama) -> None:
    ollama.runner.num_parallel, ollama.runner.token_seconds, ollama.runner.max_queue = 1, 0.0005, 1

    async def crowd(model: LeadModel) -> float:
        await model.warm_up()
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(ask(model) for _ in range(4)))
        return loop.time() - started

    assert with_model(ollama.url, crowd, OLLAMA_NUM_PARALLEL=4) >= 4 * 80 * 0.0005, "eighty tokens each, one by one"
    assert (ollama.runner.most_at_once, len(ollama.chats)) == (1, 4)
    assert ollama.runner.most_waiting > 1, "more than OLLAMA_MAX_QUEUE, which guards loads alone"


def test_a_cold_load_may_take_longer_than_an_answer(ollama: FakeOllama) -> None:
    ollama.runner.load_seconds = 0.3
    with_model(ollama.url, warm_up, GTM_MODEL_ANSWER_TIMEOUT_SECONDS=0.1)
    assert (ollama.runner.loads, ollama.runner.aborted_loads) == (1, 0)


def test_a_load_that_nobody_waits_for_is_given_up_and_starts_anew(ollama: FakeOllama) -> None:
    ollama.runner.load_seconds = 0.3
    with pytest.raises(ModelUnavailable, match="gave no answer within 0.1 s"):
        with_model(ollama.url, warm_up, GTM_MODEL_LOAD_TIMEOUT_SECONDS=0.1)
    assert ollama.runner.aborted_loads >= 1
    before = ollama.runner.loads
    with_model(ollama.url, warm_up)
    assert ollama.runner.loads == before + 1


def test_a_full_queue_of_a_cold_server_is_waited_out(ollama: FakeOllama) -> None:
    ollama.runner.load_seconds, ollama.runner.max_queue = 0.3, 1

    async def both(model: LeadModel) -> None:
        async with open_model(to_settings(ollama.url, GTM_MODEL_PATIENCE_SECONDS=20)) as other:
            await asyncio.gather(model.warm_up(), other.warm_up())
            await asyncio.gather(ask(model), ask(other))

    with_model(ollama.url, both, GTM_MODEL_PATIENCE_SECONDS=20)
    assert (ollama.runner.loads, len(ollama.chats)) == (1, 2)


@pytest.mark.parametrize("is_evicted", [True, False])
def test_a_model_that_was_unloaded_is_loaded_by_the_next_question(ollama: FakeOllama, is_evicted: bool) -> None:
    async def lose_it(model: LeadModel) -> None:
        await model.warm_up()
        if is_evicted:
            ollama.runner.evict()
            assert httpx.get(f"{ollama.url}/api/ps").json() == {"models": []}
        else:
            ollama.runner.keep_alive_seconds = 0
        assert (await ask(model)).is_done

    with_model(ollama.url, lose_it)
    assert ollama.runner.loads == 2


def test_another_window_has_the_server_load_again(ollama: FakeOllama) -> None:
    for window in (4096, 4096, 8192):
        with_model(ollama.url, ask, GTM_MODEL_NUM_CTX=window)
    assert ollama.runner.loads == 2


def test_a_prompt_beyond_the_window_is_refused_by_the_server(ollama: FakeOllama) -> None:
    assert code_of(lambda: with_model(ollama.url, lambda model: model.ask(LONG, ANSWER_SCHEMA, 1, 320))) == (
        "model-context-exceeded"
    )


def test_a_prompt_that_an_old_server_cut_without_a_word_is_noticed(ollama: FakeOllama) -> None:
    ollama.default = says("Which account?", prompt_eval_count=1024 // 2 + 2)
    question = [{"role": "user", "content": "vans " * 800}]  # about a thousand tokens, in no server's eyes five hundred

    def work() -> Any:
        return with_model(ollama.url, lambda model: model.ask(question, ANSWER_SCHEMA, 1, 320), GTM_MODEL_NUM_CTX=1024)

    with pytest.raises(TerminalError, match="cut it to 514 tokens") as raised:
        work()
    assert raised.value.code == "model-context-exceeded"


def test_a_missing_model_can_be_pulled_and_a_failed_pull_says_why(ollama: FakeOllama) -> None:
    ollama.models.clear()
    assert code_of(lambda: with_model(ollama.url, describe)) == "model-missing"
    ollama.pull_error = "pull model manifest: file does not exist"
    pull = {"model": "llama3.1"}
    lines = [json.loads(line) for line in httpx.post(f"{ollama.url}/api/pull", json=pull).text.splitlines()]
    assert lines[-1] == {"error": ollama.pull_error}
    assert httpx.post(f"{ollama.url}/api/pull", json={**pull, "stream": False}).status_code == 500
    ollama.pull_error = None
    assert httpx.post(f"{ollama.url}/api/pull", json=pull).text.splitlines()[-1] == '{"status": "success"}'
    assert with_model(ollama.url, describe) == ("llama3.1", "digest-pulled")


def test_a_listing_without_digest_is_refused(ollama: FakeOllama) -> None:
    ollama.models = {"llama3.1:latest": ""}
    assert code_of(lambda: with_model(ollama.url, describe)) == "model-endpoint-missing"


def test_hosts_with_different_builds_of_the_model_are_refused(ollama: FakeOllama) -> None:
    with FakeOllama({"llama3.1:latest": "digest-two"}) as second:
        hosts = f"{ollama.url},{second.url}"
        with pytest.raises(TerminalError) as raised:
            with_model(hosts, describe)
    assert raised.value.code == "model-differs"
    assert f"{ollama.url}=digest-one" in raised.value.detail and f"{second.url}=digest-two" in raised.value.detail


def test_one_absent_host_of_two_does_not_hold_up_a_job(ollama: FakeOllama) -> None:
    with FakeOllama() as second:
        second.die()
        hosts = f"{second.url},{ollama.url}"

        async def go(model: LeadModel) -> None:
            await model.describe()
            await model.warm_up()
            await ask(model)

        with_model(hosts, go, GTM_MODEL_PATIENCE_SECONDS=0)
    assert len(ollama.chats) == 1


def test_an_answer_without_end_is_not_read_to_its_end(ollama: FakeOllama) -> None:
    ollama.default = says("x" * 3_000_000)
    with pytest.raises(ModelUnavailable, match="more than 2000000 bytes"):
        with_model(ollama.url, ask, GTM_MODEL_TRIES=1)


def test_an_error_in_a_200_is_an_error(ollama: FakeOllama) -> None:
    ollama.default = lambda request: to_json({"error": "upstream went away"})
    with pytest.raises(ModelUnavailable, match="upstream went away") as raised:
        with_model(ollama.url, ask)
    assert raised.value.is_reached


def test_a_server_that_streams_although_told_not_to_is_named(ollama: FakeOllama) -> None:
    lines = (
        b'{"message": {"content": "a"}, "done": false}\n{"error": "an error was encountered while running the model"}\n'
    )
    ollama.default = lambda request: Reply(200, lines, {"Content-Type": "application/x-ndjson"}, is_chunked=True)
    assert code_of(lambda: with_model(ollama.url, ask)) == "model-endpoint-missing"


def test_the_fake_streams_unless_told_not_to(ollama: FakeOllama) -> None:
    question = {"model": "llama3.1", "messages": [{"role": "user", "content": '{"signals": [], "baseline_score": 3}'}]}
    lines = httpx.post(f"{ollama.url}/api/chat", json=question).text.splitlines()
    assert [json.loads(line)["done"] for line in lines] == [False, True]


def test_the_key_is_sent_and_shown_nowhere(ollama: FakeOllama) -> None:
    ollama.default = lambda request: to_json({"error": "unauthorized"}, 401)
    with pytest.raises(TerminalError, match="GTM_MODEL_API_KEY") as raised:
        with_model(ollama.url, ask, GTM_MODEL_API_KEY="s3cret-key")
    assert raised.value.code == "model-key-refused"
    assert "s3cret" not in raised.value.detail
    assert ollama.headers["authorization"] == "Bearer s3cret-key"


@pytest.mark.parametrize("key", ["s3cret\n", "s3cret key", "s3crét"])
def test_a_key_that_fits_no_header_is_refused_before_any_message_can_show_it(key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        to_settings("gpu", GTM_MODEL_API_KEY=key)
    (line,) = explain_wrong_settings(raised.value)
    assert line.startswith("GTM_MODEL_API_KEY: a key has no spaces")


def test_a_load_that_fails_is_no_questions_fault(ollama: FakeOllama) -> None:
    ollama.load_error = "model requires more system memory (6.1 GiB) than is available (3.4 GiB)"

    async def lose(model: LeadModel) -> None:
        with pytest.raises(ModelUnavailable, match="more system memory") as raised:
            await model.warm_up()
        assert not raised.value.is_reached

    with_model(ollama.url, lose)


def test_proxies_of_the_environment_are_passed_by(ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with_model(ollama.url, ask)


@pytest.mark.parametrize("host", ["ftp://model", "http://", ",", "http://[::1", "http://me:s3cret@gpu:11434"])
def test_an_unreadable_address_is_named(host: str) -> None:
    with pytest.raises(GtmError, match="OLLAMA_HOST") as raised:
        open_model(to_settings(host))
    assert raised.value.code == "model-host-invalid"
    assert "s3cret" not in raised.value.detail


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
    assert open_model(to_settings(setting)).address == address
