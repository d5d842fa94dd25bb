"""Who judges the courses of `make chaos` has to see what a broken fence does; `make chaos ONLY=mutant` runs one."""

import pytest

from tests.chaos.toys import Toy, Write, parse_toy
from tests.chaos.verdict import find_late

_FIRST = Write("toy/0", "job", 1, 1, changed=True, asked=10.0, at=10.1)
_NEXT = Write("toy/0", "job", 3, 3, changed=True, asked=40.0, at=40.1)


def _late(**changed: float | bool) -> Write:
    return Write(**{**vars(_FIRST), "asked": 41.0, "at": 41.1, **changed})  # type: ignore[arg-type]  # of vars


@pytest.mark.parametrize(
    ("writes", "seen"),
    [
        ([_FIRST, _NEXT], []),
        ([_NEXT, _late(changed=False)], ["by who had lost the job"]),
        ([_NEXT, _late(changed=True)], ["by who had lost the job"]),
        ([_NEXT, _late(asked=39.9)], []),
        ([_FIRST, _late(changed=False)], ["twice under fence 1"]),
        ([_FIRST, _NEXT, _late(asked=50.2, changed=False)], ["by who had lost the job", "after its job had ended"]),
    ],
    ids=["in order", "unchanged", "changed", "asked before", "one fence, two writers", "after the end"],
)
def test_a_write_of_who_has_lost_the_job_is_seen(writes: list[Write], seen: list[str]) -> None:
    objections = list(find_late(writes, {"job": 50.0}))
    assert len(objections) == len(seen)
    assert all(part in text for part, text in zip(seen, objections, strict=True))


def test_a_toy_travels_whole() -> None:
    toy = Toy("a-key", 20, 30, batches=2, differs=True)
    assert parse_toy(toy.to_account_id()) == toy
