"""The list of attempts is what docs/security.md says; on running services by `make break-in` (BREAK_IN=1)."""

import ast
import asyncio
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from services.scoring.domain import hubspot_events, salesforce_messages
from shared.access import key_ring, keys
from shared.access.key_store import KeyStore, StoredKey
from shared.access.refusals import Unauthorised
from tests.break_in.attempt import Attempt
from tests.break_in.attempts import ATTEMPTS
from tests.break_in.run import documented, look_around, to_table, try_one
from tests.break_in.target import Target

running = pytest.mark.skipif(not os.environ.get("BREAK_IN"), reason="make break-in")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    house = Target(tmp_path_factory.mktemp("house"))
    yield house
    house.close()


@running
@pytest.mark.processes
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.id)
def test_nobody_gets_in(attempt: Attempt, target: Target) -> None:
    outcome = try_one(attempt, target)
    assert outcome.problem is None, f"{outcome.problem}: {outcome.answer.text[:2000]}"


@running
@pytest.mark.processes
def test_nothing_is_left_behind(target: Target) -> None:
    assert look_around(target) == []


def test_the_page_says_what_was_tried() -> None:
    assert len({attempt.id for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 30
    assert documented().strip() == to_table().strip(), "python -m tests.break_in.run --write"


COMPARING = (
    keys.is_secret_of,
    hubspot_events._is_signed_v3,
    hubspot_events._is_signed_before,
    salesforce_messages.verify_token,
)


@pytest.mark.parametrize("compare", COMPARING, ids=lambda one: one.__name__)
def test_secrets_are_compared_in_constant_time(compare: Callable[..., object]) -> None:
    """By what the code does: a measurement would show the machine's noise. Nothing is returned or raised before all
    was compared, and of what is compared in another way one side is a constant."""
    code = ast.parse(textwrap.dedent(inspect.getsource(compare)))
    compared = [node for node in ast.walk(code) if isinstance(node, ast.Call) and "compare_digest" in _name(node)]
    ends = [node for node in ast.walk(code) if isinstance(node, ast.Return | ast.Raise)]
    assert compared and min(node.lineno for node in ends) >= max(node.lineno for node in compared)
    for node in ast.walk(code):
        if isinstance(node, ast.Compare):
            assert any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators)), ast.unparse(node)


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func)


def test_whoever_calls_one_comparison_is_made_before_anything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a key that is unknown, wrong, revoked, or right."""
    minted, now = keys.mint_key(), datetime.now(UTC)
    given = keys.parse_key(minted.text)
    assert given is not None
    stored = StoredKey(given.key_id, "n", frozenset({"read"}), now, None, None, None, minted.secret_hash)
    seen: list[bool] = []

    def compare(secret: str, stored_hash: str | None) -> bool:
        seen.append(keys.is_secret_of(secret, stored_hash))
        return seen[-1]

    monkeypatch.setattr(key_ring, "is_secret_of", compare)
    wrong = minted.text[:-1] + ("A" if minted.text[-1] != "A" else "B")
    for row, text, is_right, is_let_in in (
        (None, minted.text, False, False),
        (stored, wrong, False, False),
        (replace(stored, revoked_at=now), wrong, False, False),
        (replace(stored, revoked_at=now), minted.text, True, False),
        (replace(stored, expires_at=now), minted.text, True, False),
        (stored, minted.text, True, True),
    ):
        store = SimpleNamespace(find=lambda _id, row=row: row)
        ring = key_ring.KeyRing(cast(KeyStore, store))
        seen.clear()
        with nullcontext() if is_let_in else pytest.raises(Unauthorised):
            asyncio.run(ring.identify(text, None))
        assert seen == [is_right]
