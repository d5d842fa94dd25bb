"""What comes between a model host and its client: proxies, closed connections, mute hosts, loads that never end."""

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.scoring.adapters import hosted_model, model_http
from services.scoring.adapters import ollama as ollama_model
from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.adapters.model_http import ModelHttp
from services.scoring.adapters.models import open_model
from services.scoring.domain.patience import to_delay
from shared.errors import TerminalError
from tests.fakes.ollama import FAULTS, FakeOllama, Reply, good
from tests.scoring.conftest import to_settings
from tests.scoring.test_model_hosts import PATIENT, ask, with_model

JSON, PLAIN = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
PACKED = gzip.compress(json.dumps({"message": {"content": "a"}, "done": True}).encode())
STRAYS = {
    "cut": Reply(200, b'{"message": {"cont', JSON),
    "no UTF-8": Reply(200, b'{"message": {"content": "\xff"}, "done": true}', JSON),
    "an ingress": Reply(404, b"default backend - 404", PLAIN),
    "another's 404": Reply(404, b'{"error": "route not found"}', JSON),
    "a page": Reply(200, b"<html>Maintenance</html>", {"Content-Type": "text/html"}),
    "packed": Reply(200, PACKED, {**JSON, "Content-Encoding": "gzip"}),
    "a firewall": Reply(403, b"", PLAIN),
}


@pytest.fixture
def mute() -> Iterator[str]:
    """A host that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_answer_between_good_ones_ends_nothing(ollama: FakeOllama, stray: str) -> None:
    ollama.script.extend([good, lambda request: STRAYS[stray], good])

    async def three(model: LeadModel) -> list[bool]:
        await model.describe()
        return [(await ask(model)).is_done for _ in range(3)]

    assert with_model(ollama.url, three, **PATIENT) == [True] * 3
    assert (len(ollama.chats), len(ollama.warm_ups)) == (4, 1), "it was looked at before it was asked again"


def test_an_empty_403_is_told_as_what_it_mostly_is(ollama: FakeOllama) -> None:
    ollama.default = lambda request: STRAYS["a firewall"]
    with pytest.raises(TerminalError, match="OLLAMA_HOST=0.0.0.0") as raised:
        with_model(ollama.url, ask)
    assert raised.value.code == "model-access-refused" and "API_KEY" not in raised.value.detail


@pytest.mark.parametrize("moment", ["warm-up", "recovery"])
def test_a_load_that_never_ends_costs_patience(ollama: FakeOllama, moment: str) -> None:
    async def load(model: LeadModel) -> None:
        await model.describe()
        if moment == "recovery":
            await model.warm_up()
            ollama.runner.evict()
            ollama.script.append(FAULTS["502-html"])
        ollama.runner.load_seconds = 60
        with pytest.raises(ModelUnavailable, match="gave no answer within 0.2 s"):
            await (model.warm_up() if moment == "warm-up" else ask(model))

    limits = {"GTM_MODEL_LOAD_TIMEOUT_SECONDS": 0.2, "GTM_MODEL_ANSWER_TIMEOUT_SECONDS": 0.2}
    with_model(ollama.url, load, GTM_MODEL_PATIENCE_SECONDS=0.15, **limits)
    assert len(ollama.warm_ups) == {"warm-up": 1, "recovery": 2}[moment], "one load that failed took all of it"


def test_a_mute_host_holds_nobody_up_where_another_is_well(
    ollama: FakeOllama, mute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_model, "_GRACE_SECONDS", 0.1)

    async def timed(model: LeadModel) -> float:
        started = asyncio.get_running_loop().time()
        await model.describe()
        await model.warm_up()
        await ask(model)
        return asyncio.get_running_loop().time() - started

    assert with_model(f"{mute},{ollama.url}", timed) < hosted_model.LISTING_SECONDS


def test_a_host_that_loads_longer_is_asked_when_it_has_loaded(
    ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_model, "_GRACE_SECONDS", 0.05)
    with FakeOllama() as slow:
        slow.runner.load_seconds = 0.5

        async def go(model: LeadModel) -> None:
            await model.describe()
            await model.warm_up()
            assert slow.runner.loaded_model is None
            while not slow.chats:
                await asyncio.gather(ask(model), ask(model))

        with_model(f"{ollama.url},{slow.url}", go)
        assert (slow.runner.loads, slow.runner.aborted_loads) == (1, 0)


def test_a_listing_has_a_limit_of_its_own(mute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama_model, "LISTING_SECONDS", 0.1)
    with pytest.raises(ModelUnavailable, match="within 0.1 s"):
        with_model(mute, lambda model: model.describe(), GTM_MODEL_PATIENCE_SECONDS=0)


def test_a_connection_that_was_closed_while_idle_costs_no_try(
    ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def twice(model: LeadModel) -> None:
        await ask(model)
        ollama.script.append(FAULTS["reset"])
        await ask(model)

    once = {"GTM_MODEL_TRIES": 1}
    with pytest.raises(ModelUnavailable):  # in use a moment ago: the question may have been what closed it
        with_model(ollama.url, twice, **once)
    monkeypatch.setattr(model_http, "_STALE_SECONDS", 0)
    with_model(ollama.url, twice, **once)
    ollama.script.extend([good, FAULTS["reset"]])
    with pytest.raises(ModelUnavailable):
        with_model(ollama.url, twice, **once)


def test_a_server_that_closes_without_a_word_is_asked_over_a_new_connection() -> None:
    closed = asyncio.Queue[None]()

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.put_nowait(None)

    async def ask_thrice() -> None:
        server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
        http = ModelHttp(None)
        async with server:
            for _ in range(3):
                port = server.sockets[0].getsockname()[1]
                assert (await http.call(f"http://127.0.0.1:{port}", "/api/chat", {}, 5)).is_answer
                await closed.get()
        await http.close()

    asyncio.run(ask_thrice())


def test_bytes_after_an_answer_are_no_answer_to_the_next_question(ollama: FakeOllama) -> None:
    def crowded(request: dict[str, Any]) -> Reply:
        foreign = Reply(200, b'{"message": {"content": "of somebody else"}, "done": true}', JSON)
        return replace(good(request), trailing=foreign.head + foreign.body)

    ollama.script.append(crowded)

    async def two(model: LeadModel) -> str:
        await ask(model)
        return (await ask(model)).text

    assert "somebody" not in with_model(ollama.url, two)


@pytest.mark.parametrize(("scheme", "is_sent"), [("http", True), ("https", False)])
def test_a_handshake_that_takes_too_long_has_sent_nothing(mute: str, scheme: str, is_sent: bool) -> None:
    async def call() -> None:
        http = ModelHttp(None)
        try:
            await http.call(f"{scheme}://{mute}", "/api/chat", {"messages": []}, 0.1)
        finally:
            await http.close()

    with pytest.raises(ModelUnavailable, match="ConnectTimeout|within 0.1 s") as raised:
        asyncio.run(call())
    assert raised.value.is_sent is is_sent


def test_a_wish_for_no_pause_gets_a_growing_one() -> None:
    assert [to_delay(0.5, tries, 0) for tries in (1, 2, 3, 9)] == [0.25, 0.5, 1, 10]
    assert (to_delay(0.5, 1, 7), to_delay(0.5, 1, 900)) == (7, 20)


@pytest.mark.parametrize("host", ["http://h:11434?x=1", "http://h:11434/#f", "h?", "1:2:3"])
def test_an_address_that_hides_the_paths_is_refused(host: str) -> None:
    with pytest.raises(TerminalError, match="OLLAMA_HOST") as raised:
        open_model(to_settings(host))
    assert raised.value.code == "model-host-invalid"


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("::1", "http://[::1]:11434"),
        (":8000", "http://127.0.0.1:8000"),
        ("[::]:8000", "http://[::1]:8000"),
        ("http://h/ollama/", "http://h/ollama"),
    ],
)
def test_the_short_forms_of_ollamas_own_setting_are_read(setting: str, address: str) -> None:
    assert open_model(to_settings(setting)).address == address
