"""Accounts whose question breaks the model server: they cost themselves, not their neighbours, and never the job."""

import threading
from typing import Any

import pytest

from services.scoring.adapters.models import open_model
from services.scoring.flow import rescore_account, score_accounts
from shared.errors import TransientError
from shared.warehouse import Warehouse
from tests.fakes.ollama import FAULTS, FakeOllama, Reply, account_of, good
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table, to_settings

TWELVE = [account(number) for number in range(1, 13)]


def fleet_of(request: dict[str, Any]) -> int:
    """`account(number)` has 60 vehicles and `number` more."""
    return int(account_of(request)["slots"]["fleet_size"])


class Crashing:
    """A server with answers of a tenth of a second, which the poison's question ends for everyone in flight."""

    def __init__(self, poison: int, fault: str) -> None:
        self._poison = poison
        self._fault = fault
        self._changed = threading.Condition()
        self._lost: set[int] = set()
        self.crashes = 0

    def think(self, request: dict[str, Any]) -> None:
        with self._changed:
            before = self.crashes
            if fleet_of(request) == self._poison:
                self._changed.wait(0.03)  # the others' questions come meanwhile
                self.crashes += 1
                self._changed.notify_all()
            elif self._changed.wait_for(lambda: self.crashes > before, timeout=0.1):
                self._lost.add(id(request))

    def answer(self, request: dict[str, Any]) -> Reply:
        is_lost = fleet_of(request) == self._poison or id(request) in self._lost
        return (FAULTS[self._fault] if is_lost else good)(request)


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_a_question_that_takes_the_server_down_costs_its_account_alone(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama, fault: str
) -> None:
    build_marts(*TWELVE)
    crashing = Crashing(66, fault)
    ollama.on_chat, ollama.default = crashing.think, crashing.answer
    settings = to_settings(ollama.url, OLLAMA_NUM_PARALLEL=4, GTM_MODEL_PATIENCE_SECONDS=20)
    result = score_accounts(FakeJob(), warehouse, open_model(settings), settings)
    assert (result["scored"], result["baseline_only"]) == (12, 1)
    rejects = [(row["account_id"], row["reason_code"]) for row in read_table(warehouse, "score_rejects")]
    assert rejects == [("hubspot:6", "model-error")]
    assert crashing.crashes == settings.tries


def test_bad_accounts_in_a_row_are_told_from_a_bad_server_by_one_from_elsewhere(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(*TWELVE)
    ollama.default = lambda request: (FAULTS["500"] if fleet_of(request) in (67, 68, 69) else good)(request)
    settings = to_settings(ollama.url)
    result = score_accounts(FakeJob(), warehouse, open_model(settings), settings)
    assert (result["scored"], result["baseline_only"]) == (12, 3)
    asked = [fleet_of(request) for request in ollama.chats]
    assert len(asked) == 3 * settings.tries + 9 + 1 and asked.count(72) == 1


def test_the_one_account_of_a_rescore_is_told_from_a_bad_server_too(
    warehouse: Warehouse, build_marts: BuildMarts, ollama: FakeOllama
) -> None:
    build_marts(*TWELVE[:2])
    ollama.default = lambda request: (FAULTS["500"] if fleet_of(request) == 61 else good)(request)
    settings = to_settings(ollama.url)
    job = FakeJob(request={"account_id": "hubspot:1"})
    result = rescore_account(job, warehouse, open_model(settings), settings)
    assert (result["scored"], result["baseline_only"]) == (1, 1)
    assert [row["account_id"] for row in read_table(warehouse, "lead_scores")] == ["hubspot:1"], "no row of the witness"
    ollama.default = FAULTS["500"]
    with pytest.raises(TransientError):
        rescore_account(FakeJob("job-2", job.request | {"force": True}), warehouse, open_model(settings), settings)
