"""Several hosts of one model: who is asked, who is left out, and how one that is back is found."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.adapters.models import open_model
from services.scoring.domain.answer import ANSWER_SCHEMA
from services.scoring.domain.interview import ModelReply
from shared.errors import TerminalError
from tests.fakes.ollama import FAULTS, FakeOllama
from tests.scoring.conftest import to_settings

QUESTION = [{"role": "user", "content": '{"signals": [], "baseline_score": 30}'}]
PATIENT = {"GTM_MODEL_PATIENCE_SECONDS": 20}


async def ask(model: LeadModel) -> ModelReply:
    return await model.ask(QUESTION, ANSWER_SCHEMA, 1, 320)


def with_model(hosts: str, work: Callable[[LeadModel], Awaitable[Any]], **changes: Any) -> Any:
    """Enter a model and do `work` with it, in an event loop of its own."""

    async def run() -> Any:
        async with open_model(to_settings(hosts, **changes)) as model:
            return await work(model)

    return asyncio.run(run())


@pytest.fixture
def second() -> Any:
    with FakeOllama() as fake:
        yield fake


def hosts_of(*fakes: FakeOllama) -> str:
    return ",".join(fake.url for fake in fakes)


def test_each_host_runs_its_own_limit_and_no_more(ollama: FakeOllama, second: FakeOllama) -> None:
    all_there = threading.Barrier(4, timeout=10)  # passes only when two calls are at each host
    ollama.on_chat = second.on_chat = lambda request: all_there.wait() and None

    async def ask_twelve(model: LeadModel) -> None:
        assert model.slots == 4
        await asyncio.gather(*(ask(model) for _ in range(12)))

    with_model(hosts_of(ollama, second), ask_twelve, OLLAMA_NUM_PARALLEL=2)
    assert (ollama.most_at_once, second.most_at_once) == (2, 2)
    assert ollama.runner.most_waiting == second.runner.most_waiting == 1, "no question waits at a host"


def test_a_slow_host_gets_fewer_questions(ollama: FakeOllama, second: FakeOllama) -> None:
    done = threading.Event()
    ollama.on_chat = lambda request: done.wait(10) and None

    async def ask_nine(model: LeadModel) -> None:
        asked = [asyncio.create_task(ask(model)) for _ in range(9)]
        while len(second.chats) < 8:
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            asked = [task for task in asked if not task.done()]
        done.set()
        await asyncio.gather(*asked)

    with_model(hosts_of(ollama, second), ask_nine)
    assert (len(ollama.chats), len(second.chats)) == (1, 8)


def test_a_dead_host_is_left_out_and_comes_back_by_itself(ollama: FakeOllama, second: FakeOllama) -> None:
    async def lose_and_find(model: LeadModel) -> None:
        await model.describe()
        ollama.die()
        for _ in range(5):
            await ask(model)
        assert (len(ollama.chats), len(second.chats)) == (0, 5)
        assert not model.is_away
        ollama.revive()
        while not ollama.chats:
            await asyncio.gather(ask(model), ask(model))

    with_model(hosts_of(ollama, second), lose_and_find)
    assert len(ollama.warm_ups) == 1, "it is asked only after it has loaded the model again"


def test_all_dead_and_one_back_in_time_loses_no_question(ollama: FakeOllama) -> None:
    async def wait_for_it(model: LeadModel) -> list[ModelReply]:
        await model.describe()
        ollama.die()
        waiting = [asyncio.create_task(ask(model)) for _ in range(3)]
        while not model.is_away:
            await asyncio.sleep(0)
        ollama.revive()
        return await asyncio.gather(*waiting)

    replies = with_model(ollama.url, wait_for_it, OLLAMA_NUM_PARALLEL=3, **PATIENT)
    assert [reply.is_done for reply in replies] == [True] * 3
    assert len(ollama.chats) == 3


@pytest.mark.parametrize("call", ["describe", "warm_up", "ask"])
def test_patience_has_an_end(ollama: FakeOllama, call: str) -> None:
    ollama.die()

    async def lose(model: LeadModel) -> None:
        with pytest.raises(ModelUnavailable, match="ConnectError") as raised:
            await (ask(model) if call == "ask" else getattr(model, call)())
        assert not raised.value.is_reached and model.is_away

    with_model(ollama.url, lose)


def test_a_load_of_any_length_costs_no_patience(ollama: FakeOllama) -> None:
    ollama.runner.load_seconds = 0.6  # the patience is 0.2

    async def come_back(model: LeadModel) -> None:
        await model.describe()
        ollama.die()
        asked = asyncio.create_task(ask(model))
        while not model.is_away:
            await asyncio.sleep(0)
        ollama.revive()
        await asked

    with_model(ollama.url, come_back)
    assert ollama.runner.loads == 1 and ollama.runner.aborted_loads == 0


def test_a_host_that_comes_back_with_another_build_is_not_asked(ollama: FakeOllama) -> None:
    async def change_behind_its_back(model: LeadModel) -> None:
        await model.describe()
        ollama.die()
        asked = asyncio.create_task(ask(model))
        while not model.is_away:
            await asyncio.sleep(0)
        ollama.models = {"llama3.1:latest": "digest-two"}
        ollama.revive()
        with pytest.raises(TerminalError) as raised:
            await asked
        assert raised.value.code == "model-differs"

    with_model(ollama.url, change_behind_its_back)
    assert not ollama.chats


def test_a_question_that_kills_every_host_is_given_up_and_the_hosts_are_not(
    ollama: FakeOllama, second: FakeOllama
) -> None:
    ollama.default = second.default = FAULTS["reset"]

    async def poison(model: LeadModel) -> None:
        with pytest.raises(ModelUnavailable, match="Read|Disconnect|Protocol") as raised:
            await ask(model)
        assert raised.value.is_reached, "the question is at fault, as far as one can tell"
        ollama.default = second.default = FAULTS["chunked"]
        assert (await ask(model)).is_done

    with_model(hosts_of(ollama, second), poison, **PATIENT)
    assert len(ollama.chats) + len(second.chats) == 4 + 1


def test_a_question_goes_to_another_host_after_an_error(ollama: FakeOllama, second: FakeOllama) -> None:
    ollama.default = FAULTS["500"]
    with_model(hosts_of(ollama, second), ask)
    assert (len(ollama.chats), len(second.chats)) == (1, 1)


def test_a_busy_server_is_asked_until_it_takes_the_question(ollama: FakeOllama) -> None:
    ollama.script.extend([FAULTS["503"]] * 6)  # more than the tries that a question has
    with_model(ollama.url, ask, **PATIENT)
    assert len(ollama.chats) == 7


def test_the_servers_wish_for_a_pause_is_kept(ollama: FakeOllama) -> None:
    from tests.fakes.ollama import error

    ollama.script.append(error(429, "slow down", **{"Retry-After": "0.3"}))

    async def timed(model: LeadModel) -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await ask(model)
        return loop.time() - started

    assert with_model(ollama.url, timed, **PATIENT) >= 0.3
