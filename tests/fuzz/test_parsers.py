"""Every parser of what comes from outside, on nearly right input. `make fuzz` does it for as long as is wanted."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.run import FUZZERS
from tests.fuzz.strategies import FOR
from tests.fuzz.targets import PARSERS, WEBHOOKS

TARGETS = {**WEBHOOKS, **PARSERS}
_SLOW = frozenset({"csv_file", "json_lines", "packed_file"})
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_any_input_is_answered_or_refused(name: str) -> None:
    examples = _EXAMPLES // 2 if name in _SLOW else _EXAMPLES

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(data=FOR[name])
    def hold(data: bytes) -> None:
        try:
            TARGETS[name](data)
        except BaseException as error:
            error.add_note(f"tests/fuzz/test_crashes.py: ({name!r}, {data!r})")
            raise

    hold()


def test_every_target_has_its_input() -> None:
    assert FOR.keys() == TARGETS.keys()
    assert sorted(name for names in FUZZERS.values() for name in names) == sorted(TARGETS)
    assert all(isinstance(one, st.SearchStrategy) for one in FOR.values())
