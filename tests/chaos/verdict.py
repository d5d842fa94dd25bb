"""What is to be seen when the dust has settled: of every accepted job the end, and of every end the effect."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import sqlalchemy as sa

from shared.contracts import JobKind
from shared.operations.models import Job
from tests.chaos.house import ToyHouse
from tests.chaos.load import Calls
from tests.chaos.observer import ENDED, RANK, Observer
from tests.chaos.toys import Toy, Write, parse_toy
from tests.conftest import wait_until

_CLOCK_SLACK_SECONDS = 0.05
LOST_THE_JOB = "by who had lost the job"


@dataclass
class Verdict:
    """`repeated`: effects that were made again and changed nothing; the others must be 0."""

    accepted: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    repeated: int = 0
    taken_up_again: int = 0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.violations)

    def explain(self) -> str:
        """The first of each kind."""
        parts = {"lost": self.lost, "doubled": self.doubled, "violations": self.violations}
        return "; ".join(f"{name}: {len(items)}, such as {items[:3]}" for name, items in parts.items() if items)


def judge(
    house: ToyHouse,
    observer: Observer,
    calls: Calls,
    toys: Mapping[str, Toy],
    *,
    expected: Mapping[str, Collection[str]] | None = None,
    seconds: float = 120,
) -> Verdict:
    """Wait for the ends, ask the API for each, and hold the effects against them.

    What has not ended is lost once no job has for so many `seconds`: a machine may be slow.
    `expected`: toy's key -> the states it may end in; `succeeded` for the others.
    """
    verdict = Verdict(accepted=len(calls.accepted))
    deadline = time.monotonic() + seconds
    with httpx.Client(timeout=20) as client:
        states = {}
        for key, (job_id, _) in calls.accepted.items():
            states[key] = _wait_end(client, observer, job_id, deadline)
            if states[key] is None:
                verdict.lost.append(f"{key} ({job_id})")
            else:
                deadline = max(deadline, time.monotonic() + seconds)
    verdict.ended.update(state or "open" for state in states.values())
    for key, state in states.items():
        wanted = (expected or {}).get(key, ("succeeded",))
        if state is not None and state not in wanted:
            verdict.violations.append(f"{key} ended {state} instead of {wanted}")
    _compare_effects(house, calls, toys, states, verdict)
    _count_rows(house, calls, toys, verdict)
    verdict.violations += [*observer.objections(), *calls.wrong, *calls.slow]
    return verdict


def _wait_end(client: httpx.Client, observer: Observer, job_id: str, deadline: float) -> str | None:
    state: str | None = None

    def has_ended() -> bool:
        nonlocal state
        state = observer.ask(client, job_id)
        return state is not None and RANK[state] == ENDED

    try:
        wait_until(has_ended, job_id, seconds=max(0.1, deadline - time.monotonic()), poll=0.1)
    except AssertionError:
        return None
    return state


def _compare_effects(
    house: ToyHouse, calls: Calls, toys: Mapping[str, Toy], states: Mapping[str, str | None], verdict: Verdict
) -> None:
    effects, writes = house.toys.effects(), house.toys.writes()
    changes = Counter(write.key for write in writes if write.changed)
    makers: dict[str, set[str]] = {}
    contents: dict[str, set[int]] = {}  # one, but for toys whose attempts differ
    for write in writes:
        makers.setdefault(write.key, set()).add(write.job_id)
        contents.setdefault(write.key, set()).add(write.version)
    verdict.repeated = sum(not write.changed for write in writes)
    for key, (job_id, _) in calls.accepted.items():
        for effect in toys[key].effect_keys:
            if states[key] == "succeeded" and effects.get(effect, ("nobody",))[0] != job_id:
                verdict.violations.append(f"{key} succeeded without its effect {effect}")
            if changes[effect] > len(contents.get(effect, ())) or len(makers.get(effect, ())) > 1:
                verdict.doubled.append(f"{effect}: changed {changes[effect]} times by {makers[effect]}")
    if house.plan.libfaketime is not None:
        return  # its moments are none of ours
    verdict.violations += find_late(writes, _ends(house, (job_id for job_id, _ in calls.accepted.values())))


def find_late(writes: Sequence[Write], ends: Mapping[str, float]) -> Iterator[str]:
    """What was written by workers that had lost their job, whether it changed anything or not. `writes`: in the order
    of their commits; `ends`: job id -> Unix time.

    Who asked, was told that the job is its own, and then stood still before it wrote is not to blame: between the
    question and the commit nobody can do better. So what counts is when it asked.
    """
    best: dict[tuple[str, str], Write] = {}
    for write in writes:
        before = best.setdefault((write.key, write.job_id), write)
        if write.fence < before.fence and write.asked > before.at:
            yield f"{write.key} was written under fence {write.fence} {LOST_THE_JOB}: {before.fence} had been at it"
        if write.fence == before.fence and write is not before:
            yield f"{write.key} was written twice under fence {write.fence}"
        if write.fence > before.fence:
            best[write.key, write.job_id] = write
        if write.asked > ends.get(write.job_id, float("inf")) + _CLOCK_SLACK_SECONDS:
            yield f"{write.key} was written after its job had ended"


def _ends(house: ToyHouse, wanted: Iterable[str]) -> dict[str, float]:
    ids = set(wanted)
    with house.operations.read() as session:
        rows = session.execute(sa.select(Job.id, Job.finished_at).where(Job.finished_at.is_not(None))).tuples().all()
    return {job_id: moment.timestamp() for job_id, moment in rows if job_id in ids}


def _count_rows(house: ToyHouse, calls: Calls, toys: Mapping[str, Toy], verdict: Verdict) -> None:
    """A POST that was answered late, or not at all, and sent again must not have made two jobs."""
    query = sa.select(Job.id, Job.attempts, Job.request).where(Job.kind == JobKind.SCORING)
    with house.operations.read() as session:
        rows = session.execute(query).tuples().all()
    known = {job_id for job_id, _ in calls.accepted.values()}
    for job_id, attempts, request in rows:
        if parse_toy(request["scope"]["account_ids"][0]).key in toys:  # else of another campaign in this house
            verdict.taken_up_again += attempts > 1
            verdict.doubled += [] if job_id in known else [f"{job_id}: a job that nobody was told of"]
