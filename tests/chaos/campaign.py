"""Faults under load, one after the other or on each other's heels, and what came of it."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos.arena import Arena, Recovery, Watch
from tests.chaos.faults import Fault
from tests.chaos.house import ToyHouse
from tests.chaos.load import Calls, Load
from tests.chaos.observer import Observer
from tests.chaos.toys import Toy
from tests.chaos.verdict import Verdict, judge

Say = Callable[[str], None]
_LOOK_SECONDS = 0.1


@dataclass
class Outcome:
    """Of one campaign."""

    name: str
    verdict: Verdict
    recoveries: list[Recovery]
    calls: Calls
    kills: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def late(self) -> list[Recovery]:
        """Those that took longer than they may, or are open."""
        return [one for one in self.recoveries if one.is_late]

    @property
    def is_good(self) -> bool:
        return self.verdict.is_clean and not self.late


@dataclass(frozen=True)
class Course:
    """`faults` in this order. `gap`: seconds, from and to, between one and the next. `patience`: a fault waits so long
    for the recoveries before it. `settle`: seconds until the last job must have
    ended once the last fault is over. `is_endless`: the load ends with the faults, and `toys` is more than it takes."""

    name: str
    faults: Sequence[Fault]
    toys: int
    per_second: float
    gap: tuple[float, float] = (1, 4)
    patience: float = 60
    settle: float = 180
    is_endless: bool = False


def make_toys(count: int, dice: random.Random, prefix: str) -> dict[str, Toy]:
    """Most are short; some have two batches, or dawdle after their effect, where a kill makes them begin again. Of some
    each attempt writes something else."""
    toys = {}
    for number in range(count):
        before, after = dice.randrange(0, 200), dice.choice((0, 0, 0, 150))
        key = f"{prefix}-{number}"
        toys[key] = Toy(key, before, after, batches=dice.choice((1, 1, 1, 2)), differs=dice.random() < 0.3)
    return toys


def run_course(house: ToyHouse, course: Course, seed: int, say: Say) -> Outcome:
    """Load the house, let the faults happen, and judge."""
    started = time.monotonic()
    dice = random.Random(seed)
    toys = make_toys(course.toys, dice, f"{course.name}-{seed}".replace(" ", "-"))
    arena = Arena(house, dice)
    has_our_clock = house.plan.libfaketime is None
    looking_on = Observer(lambda: house.api.url, house.operations, seed, has_our_clock=has_our_clock)
    with Watch() as watch, looking_on as observer:
        load = Load(
            lambda: house.api.url,
            iter(toys.values()),
            observer.watch,
            per_second=course.per_second,
            is_full=arena.has_backlog,
        )
        load.start()
        try:
            for number, fault in enumerate(course.faults, start=1):
                _wait_for_share(load, course, number)
                _strike(arena, watch, course, fault, f"{number}/{len(course.faults)}", say)
            watch.wait_all(max(fault.bound for fault in course.faults) + 30)
        finally:
            load.stop() if course.is_endless else load.join()
        verdict = judge(house, observer, load.calls, toys, seconds=course.settle)
        verdict.violations += house.deaths  # every process outlives what happens around it
    seconds = time.monotonic() - started
    return Outcome(course.name, verdict, watch.recoveries, load.calls, arena.kills, seconds, arena.notes)


def _wait_for_share(load: Load, course: Course, number: int) -> None:
    """Faults are spread over the jobs, however fast the machine is."""
    while not course.is_endless and len(load.calls.accepted) < course.toys * number / (len(course.faults) + 1):
        threading.Event().wait(_LOOK_SECONDS)


def _strike(arena: Arena, watch: Watch, course: Course, fault: Fault, place: str, say: Say) -> None:
    threading.Event().wait(arena.dice.uniform(*course.gap))  # the moment is what is random
    if (fault.is_alone or watch.is_alone_pending) and not watch.wait_all(course.patience):
        arena.notes.append(f"{fault.name}: struck before all was well again")
    recovery = fault.happen(arena)
    watch.add(recovery, is_alone=fault.is_alone)
    say(f"  {place} {fault.name}")


def told(outcome: Outcome) -> Iterator[str]:
    """A line on the whole, then one a kind of fault."""
    verdict = outcome.verdict
    ends = ", ".join(f"{count} {state}" for state, count in sorted(verdict.ended.items()))
    slowest = max(outcome.calls.seconds, default=0)
    yield (
        f"{outcome.name}: {'good' if outcome.is_good else 'BAD'} - {verdict.accepted} accepted ({ends}), "
        f"{outcome.kills} kills, lost {len(verdict.lost)}, doubled {len(verdict.doubled)}, "
        f"violations {len(verdict.violations)}, repeated {verdict.repeated}, slowest POST {slowest:.2f} s, "
        f"{outcome.seconds:.0f} s"
    )
    for name in dict.fromkeys(one.fault for one in outcome.recoveries):
        those = [one for one in outcome.recoveries if one.fault == name]
        bound = those[0].bound
        shown = ", ".join(_told_time(one) for one in those)
        yield f"    {name} (<= {bound:.0f} s): {shown}"
    if text := verdict.explain():
        yield f"    {text}"
    yield from (f"    note: {note}" for note in dict.fromkeys(outcome.notes))


def _told_time(recovery: Recovery) -> str:
    if recovery.is_empty:
        return "nothing hit"
    return "never" if recovery.seconds is None else f"{recovery.seconds:.1f}"
