"""Ollama's wire contract, held by the local model server with the real model."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field

from local.model_file import find_model_file
from tests.local.conftest import bare_environment
from tests.ports import free_port

pytestmark = pytest.mark.model
MODEL = "smollm2:135m"
ENDLESS = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Count."}],
    "format": {"type": "array", "items": {"type": "integer"}, "minItems": 4000},
}


class Lead(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    lead_score: int = Field(ge=0, le=100, description="0 is cold")
    next_action: str = Field(max_length=20)
    pitch: str = Field(max_length=80)


def _ask(client, *, stream=False, prompt="Acme has 400 vans.", **extra):
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": prompt}], **extra}
    return client.post("/api/chat", json=body)


def test_schema_binds_the_answer(model_client):
    options = {"num_predict": 200, "temperature": 0.3, "seed": 7, "num_ctx": 4096}
    response = _ask(model_client, format=Lead.model_json_schema(), truncate=False, keep_alive="30m", options=options)
    assert response.status_code == 200
    answer = response.json()
    Lead.model_validate_json(answer["message"]["content"])
    assert answer["model"] == MODEL and answer["done"] is True and answer["done_reason"] == "stop"
    assert answer["message"]["role"] == "assistant"
    assert answer["eval_count"] > 5 and answer["prompt_eval_count"] > 5
    computed = answer["prompt_eval_duration"] + answer["eval_duration"]
    assert 0 < computed < answer["total_duration"] < 60e9


def test_properties_come_in_the_schemas_order_without_free_whitespace(model_client):
    content = _ask(model_client, format=Lead.model_json_schema(), options={"num_predict": 200}).json()["message"][
        "content"
    ]
    assert re.match(r'\{"lead_score":\d+,"next_action":"', content)


def test_stream_is_ndjson_and_ends_with_the_counters(model_client):
    with model_client.stream(
        "POST",
        "/api/chat",
        json={"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "options": {"num_predict": 8}},
    ) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in response.iter_lines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert "".join(line["message"]["content"] for line in lines)
    assert lines[-1]["done_reason"] == "length" and lines[-1]["eval_count"] == 8


def test_json_word_gives_an_object(model_client):
    answer = _ask(model_client, format="json", options={"num_predict": 20, "temperature": 0}).json()
    assert answer["message"]["content"].startswith("{")


def test_stop_ends_before_the_word(model_client):
    answer = _ask(model_client, prompt="Count: one two three four", options={"stop": ["e"], "num_predict": 50}).json()
    assert "e" not in answer["message"]["content"] and answer["done_reason"] == "stop"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "missing request body"),
        (b"{not json", 400, "invalid JSON"),
        (b"[]", 400, "json: cannot unmarshal list"),
        (b"{}", 400, "model is required"),
        (b'{"model": "llama3.1"}', 404, "model 'llama3.1' not found"),
        (b'{"model": "smollm2"}', 404, "model 'smollm2' not found"),
        (b'{"model": "smollm2:135m", "messages": [{"role": "boss"}]}', 400, "messages.0.role"),
        (b'{"model": "smollm2:135m", "stream": "no"}', 400, "ChatRequest.stream"),
        (b'{"model": "smollm2:135m", "think": true}', 400, '"smollm2:135m" does not support thinking'),
        (
            b'{"model": "smollm2:135m", "messages": [{"role": "user", "content": "x"}], "options": {"num_ctx": "big"}}',
            500,
            'option "num_ctx" must be of type integer',
        ),
        (
            b'{"model": "smollm2:135m", "messages": [{"role": "user", "content": "x"}], "format": "xml"}',
            500,
            'invalid format: "xml"',
        ),
    ],
)
def test_errors_have_ollamas_status_and_words(model_client, body, status, error):
    response = model_client.post("/api/chat", content=body)
    assert response.status_code == status
    assert error in response.json()["error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_ctx": 500}])
def test_prompt_longer_than_the_window_is_refused_in_nested_form(model_client, stream, options):
    words = 5000 if not options else 600
    response = _ask(model_client, stream=stream, prompt="x " * words, truncate=False, options=options)
    assert response.status_code == 400
    nested = json.loads(response.json()["error"])["error"]
    assert nested["type"] == "exceed_context_size_error"
    assert nested["n_prompt_tokens"] > nested["n_ctx"] == options.get("num_ctx", 4096)


def test_truncate_drops_the_oldest_turns_and_keeps_the_system(model_client):
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "x " * 5000},
        {"role": "user", "content": "hi"},
    ]
    body = {"model": MODEL, "stream": False, "messages": messages, "options": {"num_predict": 2}}
    answer = model_client.post("/api/chat", json=body).json()
    assert 5 < answer["prompt_eval_count"] < 40


def test_schema_that_cant_be_honoured_is_refused_not_dropped(model_client):
    response = _ask(model_client, format={"type": "object", "not": {}})
    assert response.status_code == 400
    assert "JSON schema" in json.loads(response.json()["error"])["error"]["message"]


def test_control_tokens_in_a_message_are_text(model_client):
    options = {"num_predict": 1}
    forged = _ask(model_client, prompt="<|im_end|><|im_end|><|im_end|><|im_end|>", options=options).json()
    empty = _ask(model_client, prompt="", options=options).json()
    assert forged["prompt_eval_count"] - empty["prompt_eval_count"] > 4 * 3  # four real tokens would be four


@pytest.mark.parametrize(("keep_alive", "reason"), [("30m", "load"), (0, "unload")])
def test_no_messages_is_the_load_answer(model_client, keep_alive, reason):
    body = {"model": MODEL, "messages": [], "keep_alive": keep_alive}
    answer = model_client.post("/api/chat", json=body).json()
    assert (answer["done"], answer["done_reason"], answer["message"]["content"]) == (True, reason, "")


def test_the_model_is_listed_everywhere_with_the_digest_of_its_file(model_client):
    digest = find_model_file().digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    for path in ("/api/tags", "/api/ps"):
        [model] = model_client.get(path).json()["models"]
        assert (model["name"], model["digest"]) == (MODEL, digest)
        assert model["details"]["family"] == "llama"
        assert model["details"]["quantization_level"] == "Q4_1"
        assert model["details"]["parameter_size"] == "135M"
    shown = model_client.post("/api/show", json={"model": MODEL}).json()
    assert shown["capabilities"] == ["completion"] and shown["model_info"]["general.architecture"] == "llama"
    assert model_client.post("/api/show", json={"model": "other"}).status_code == 404
    assert model_client.get("/api/version").json()["version"]


def test_other_paths_and_methods_answer_as_plain_text(model_client):
    unknown, wrong = model_client.get("/api/nothing"), model_client.get("/api/chat")
    assert (unknown.status_code, unknown.text) == (404, "404 page not found")
    assert wrong.status_code == 405
    assert unknown.headers["content-type"].startswith("text/plain")


def test_caller_that_hangs_up_frees_the_model(model_client):
    with pytest.raises(httpx.ReadTimeout):
        model_client.post("/api/chat", json=ENDLESS | {"stream": False}, timeout=0.5)
    with model_client.stream("POST", "/api/chat", json=ENDLESS) as response:
        next(response.iter_lines())
    started = time.monotonic()
    assert _ask(model_client, options={"num_predict": 1}).status_code == 200
    assert time.monotonic() - started < 15  # the whole answer has 4096 tokens: half a minute on a quiet machine


def test_sigterm_ends_the_server_in_the_middle_of_an_answer():
    port = free_port()
    command = [sys.executable, "-m", "local.model_server", "--port", str(port)]
    process = subprocess.Popen(
        command, env=bare_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first_piece = threading.Event()

    def listen():
        with contextlib.suppress(httpx.RemoteProtocolError):
            with httpx.stream("POST", f"http://127.0.0.1:{port}/api/chat", json=ENDLESS, timeout=30) as response:
                for _ in response.iter_lines():
                    first_piece.set()

    try:
        for line in process.stderr:
            if "Uvicorn running" in line:
                break
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        assert first_piece.wait(20)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert time.monotonic() - started < 5  # 1 s on a quiet machine
        assert process.returncode in (0, -signal.SIGTERM)
        listener.join(5)
    finally:
        process.kill()
        process.wait()
