"""OpenAI's chat API: what is asked, what each kind of server refuses, and the rows that come of it.

The refusals are bodies as vLLM, llama.cpp's server, LM Studio and gateways write them; the real server is in
tests/local/test_llama_server.py.
"""

import asyncio
from typing import Any

import pytest

from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.adapters.models import open_model
from services.scoring.domain.answer import ANSWER_SCHEMA
from services.scoring.flow import score_accounts
from shared.errors import TerminalError
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, Reply, says, to_json
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings
from tests.scoring.test_model_hosts import QUESTION, ask

OPENAI = {"GTM_MODEL_API": "openai"}


def with_openai(ollama: FakeOllama, work: Any = ask, **changes: Any) -> Any:
    async def run() -> Any:
        async with open_model(to_settings(ollama.url, **{**OPENAI, **changes})) as model:
            return await work(model)

    return asyncio.run(run())


def test_a_job_over_it_leaves_the_same_rows(warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama) -> None:
    build_marts(account(1), account(2))
    settings = to_settings(ollama.url, **OPENAI)
    ollama.script.extend([FAULTS["prose"], FAULTS["500"], FAULTS["503"], FAULTS["reset"]])
    result = score_accounts(FakeJob(), warehouse, open_model(settings), settings)
    assert (result["scored"], result["rejected_answers"], result["baseline_only"]) == (2, 1, 0)
    leads = read_table(warehouse, "lead_scores")
    assert {(row["score_source"], row["pitch_source"], row["model_name"]) for row in leads} == {
        ("llm", "llm", "llama3.1")
    }
    assert all(row["model_digest"].startswith("listing:") for row in leads)
    again = score_accounts(FakeJob("job-2"), warehouse, open_model(settings), settings)
    assert (again["unchanged"], again["llm_calls"]) == (2, 0)


def test_what_is_asked_is_what_every_such_server_takes(ollama: FakeOllama) -> None:
    with_openai(ollama, lambda model: model.ask(QUESTION, ANSWER_SCHEMA, 7, 320))
    (chat,) = ollama.chats  # as Ollama reads it: a parameter that it ignores isn't there
    assert chat["options"] == {"num_predict": 320, "seed": 7, "temperature": 0.3}
    assert (chat["format"], chat["messages"], chat["stream"]) == (ANSWER_SCHEMA, QUESTION, False)


def test_tokens_and_endings_are_read(ollama: FakeOllama) -> None:
    reply = with_openai(ollama)
    assert (reply.is_done, reply.is_cut, reply.prompt_tokens, reply.completion_tokens) == (True, False, 400, 80)
    ollama.default = FAULTS["length"]
    assert with_openai(ollama).is_cut
    ollama.default = says("{", done_reason=None)
    assert not with_openai(ollama).is_done
    ollama.default = FAULTS["500-repeat"]
    assert not with_openai(ollama).is_done


async def describe(model: LeadModel) -> tuple[str, str]:
    return await model.describe()


def test_a_build_is_known_by_what_its_listing_says_of_the_model_alone(ollama: FakeOllama) -> None:
    def digest_of(**changes: Any) -> str:
        meta = {"n_params": 8_030_000_000, "size": 4_920_000_000, "n_ctx": 4096} | changes.pop("meta", {})
        listed = {"id": "llama3.1", "created": 1, "owned_by": "llamacpp", "meta": meta}
        ollama.listing = [listed | changes]
        found: str = with_openai(ollama, describe)[1]
        return found

    known = digest_of()
    assert digest_of(created=2, meta={"n_ctx": 8192}) == known, "the time of the call and the server's window"
    assert digest_of(meta={"size": 8_500_000_000}) != known, "another quantization"
    assert digest_of(digest="sha256:abc") == "sha256:abc"


def test_a_listing_names_the_build_where_it_can(ollama: FakeOllama) -> None:
    name, digest = with_openai(ollama, describe)
    assert (name, with_openai(ollama, describe)[1]) == ("llama3.1", digest), "the same listing, the same hash"
    ollama.models["mistral:latest"] = "digest-two"
    assert with_openai(ollama, describe, OLLAMA_MODEL="mistral")[1] != digest
    with pytest.raises(TerminalError, match="its /v1/models lists") as raised:
        with_openai(ollama, describe, OLLAMA_MODEL="other")
    assert raised.value.code == "model-missing"


def _vllm(status: int, message: str, kind: str) -> Reply:
    return to_json({"error": {"message": message, "type": kind, "param": None, "code": status}}, status)


_LENGTH = "This model's maximum context length is 4096 tokens. However, your request has 9931 input tokens."
REFUSALS: dict[str, tuple[Reply, str, str]] = {
    "vllm-context": (_vllm(400, _LENGTH, "BadRequestError"), "model-context-exceeded", "larger context"),
    "old-vllm-context": (
        to_json({"object": "error", "message": _LENGTH, "type": "BadRequestError", "code": 400}, 400),
        "model-context-exceeded",
        "9931 input tokens",
    ),
    "llama.cpp-context": (
        to_json({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}}, 400),
        "model-context-exceeded",
        "too long",
    ),
    "vllm-model": (_vllm(404, "The model `llama3.1` does not exist.", "NotFoundError"), "model-missing", "llama3.1"),
    "vllm-parameter": (_vllm(400, "seed: too large", "BadRequestError"), "model-request-refused", "seed: too large"),
    "vllm-key": (to_json({"error": "Unauthorized"}, 401), "model-key-refused", "GTM_MODEL_API_KEY"),
    "llama.cpp-key": (_vllm(401, "Invalid API Key", "authentication_error"), "model-key-refused", "Invalid API Key"),
    "no-such-path": (to_json({"detail": "Not Found"}, 404), "model-endpoint-missing", "the URL before /v1"),
    "llama.cpp-path": (_vllm(404, "File Not Found", "not_found_error"), "model-endpoint-missing", "File Not Found"),
    "a-page": (Reply(200, b"<html>", {"Content-Type": "text/html"}), "model-endpoint-missing", "the URL before /v1"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_a_repeat_cannot_mend_names_its_mend(ollama: FakeOllama, refusal: str) -> None:
    reply, code, words = REFUSALS[refusal]
    ollama.raw.append(reply)
    with pytest.raises(TerminalError) as raised:
        with_openai(ollama)
    assert raised.value.code == code
    assert words in raised.value.detail


def test_a_server_that_still_loads_is_waited_for(ollama: FakeOllama) -> None:
    loading = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
    ollama.raw.extend([to_json(loading, 503)] * 6)
    assert with_openai(ollama, GTM_MODEL_PATIENCE_SECONDS=20).is_done


@pytest.mark.parametrize(
    "body", [{}, {"choices": []}, {"choices": [None]}, {"choices": [{"message": {"content": 1}}]}, {"choices": 1}]
)
def test_an_answer_without_text_is_the_questions_failure(ollama: FakeOllama, body: dict[str, Any]) -> None:
    ollama.raw.append(to_json(body))
    with pytest.raises(ModelUnavailable, match="without choices") as raised:
        with_openai(ollama, GTM_MODEL_TRIES=1)
    assert raised.value.is_reached


@pytest.mark.parametrize("ending", ["stop", "length", "content_filter"])
def test_an_answer_of_null_is_one_without_words(ollama: FakeOllama, ending: str) -> None:
    message = {"role": "assistant", "content": None, "refusal": None}
    ollama.raw.append(to_json({"error": None, "choices": [{"message": message, "finish_reason": ending}]}))
    reply = with_openai(ollama, GTM_MODEL_TRIES=1)
    assert (reply.text, reply.is_done, reply.is_cut) == ("", True, ending == "length")


def test_an_error_in_a_200_is_the_questions_failure(ollama: FakeOllama) -> None:
    ollama.raw.append(to_json({"error": {"message": "provider returned error", "code": 502}}))
    with pytest.raises(ModelUnavailable, match="provider returned error"):
        with_openai(ollama, GTM_MODEL_TRIES=1)
