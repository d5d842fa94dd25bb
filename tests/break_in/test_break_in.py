"""The list of attempts is what docs/security.md says; on running services by `make break-in` (BREAK_IN=1)."""

import inspect
import os
from collections.abc import Iterator

import pytest

from services.scoring.domain import hubspot_events, salesforce_messages
from shared.access import keys
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


def test_secrets_are_compared_in_constant_time() -> None:
    """By what the code does: a measurement would show the machine's noise."""
    for compare in (
        keys.is_secret_of,
        hubspot_events._is_signed_v3,
        hubspot_events._is_signed_before,
        salesforce_messages.verify_token,
    ):
        code = inspect.getsource(compare)
        assert "hmac.compare_digest(" in code and " == " not in code.replace('version == "v1"', ""), compare.__name__
