"""What is not one fault under load: cancels in every state, jobs that kill their workers, storms of events."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import httpx

from shared.contracts import JobKind
from shared.jobs.store import JobStore
from shared.jobs.view import JobView
from tests.chaos.arena import Arena
from tests.chaos.campaign import Outcome, make_toys
from tests.chaos.faults import Fault
from tests.chaos.house import ToyHouse
from tests.chaos.load import Calls, send_event, start_toy
from tests.chaos.observer import RANK, Observer
from tests.chaos.toys import Toy
from tests.chaos.verdict import LOST_THE_JOB, Verdict, judge
from tests.conftest import wait_until

_ENDED: Final = frozenset(state for state, rank in RANK.items() if rank == 2)
_CANCELLABLE: Final = ("cancelled", "succeeded")
_REPLAYS: Final = 40


def cancel_everywhere(house: ToyHouse, seed: int, *, count: int) -> Outcome:
    """Cancels at random moments of jobs that wait, work, have written and have ended; some hang until they are told."""
    started, dice = time.monotonic(), random.Random(seed)
    toys = {}
    for number in range(count):
        key = f"cancel-{seed}-{number}"
        toys[key] = Toy(key, dice.randrange(50, 300), dice.choice((0, 200)), batches=2, hangs=number % 7 == 0)
    calls, at_cancel = Calls(), Counter[str]()
    with Observer(lambda: house.api.url, house.operations, seed) as observer, ThreadPoolExecutor(8) as pool:
        delays = {key: dice.uniform(0, 1.5) for key in toys}
        states = pool.map(lambda toy: _start_and_cancel(house, observer, calls, toy, delays[toy.key]), toys.values())
        at_cancel.update(states)
        verdict = judge(house, observer, calls, toys, expected=dict.fromkeys(toys, _CANCELLABLE))
    missing = {"queued", "running", "succeeded"} - at_cancel.keys()
    verdict.violations += [f"no job was {state} when it was cancelled: nothing was tried" for state in sorted(missing)]
    notes = [f"states at the cancel: {dict(at_cancel)}"]
    return Outcome("cancels in every state", verdict, [], calls, 0, time.monotonic() - started, notes)


def _start_and_cancel(house: ToyHouse, observer: Observer, calls: Calls, toy: Toy, delay: float) -> str:
    """The state that it was in right before."""
    with httpx.Client(timeout=20) as client:
        job_id = start_toy(client, house.api.url, toy, calls)
        observer.watch(job_id)
        threading.Event().wait(delay)
        before = str(client.get(f"{house.api.url}/v1/jobs/{job_id}").json()["state"])
        asked = time.monotonic()
        answer = client.post(f"{house.api.url}/v1/jobs/{job_id}/cancel")
        calls.note(f"cancel {answer.status_code}", time.monotonic() - asked)
        if (before, answer.json()["state"]) == ("queued", "queued"):
            calls.wrong.append(f"{toy.key}: a cancel left a job waiting")
        if before in _ENDED and answer.json()["state"] != before:
            calls.wrong.append(f"{toy.key}: a cancel turned {before} into {answer.json()['state']}")
        ended = _wait_ended(client, house, job_id)
        again = client.post(f"{house.api.url}/v1/jobs/{job_id}/cancel").json()["state"]
        if again != ended:
            calls.wrong.append(f"{toy.key}: a second cancel turned {ended} into {again}")
        return before


def _wait_ended(client: httpx.Client, house: ToyHouse, job_id: str) -> str:
    state = ""

    def has_ended() -> bool:
        nonlocal state
        state = str(client.get(f"{house.api.url}/v1/jobs/{job_id}").json()["state"])
        return state in _ENDED

    wait_until(has_ended, f"{job_id} has ended", seconds=60, poll=0.2)
    return state


def poison(house: ToyHouse, seed: int, *, count: int) -> Outcome:
    """Jobs that kill whoever works on them, among others: three attempts each, and the others notice nothing."""
    started, dice = time.monotonic(), random.Random(seed)
    toys = make_toys(count * 8, dice, f"beside-poison-{seed}")
    poisoned = {f"poison-{seed}-{number}" for number in range(count)}
    toys |= {key: Toy(key, dice.randrange(0, 100), is_poison=True) for key in poisoned}
    order = sorted(toys, key=lambda _: dice.random())
    calls = Calls()
    with Observer(lambda: house.api.url, house.operations, seed) as observer:
        with httpx.Client(timeout=20) as client:
            for key in order:
                observer.watch(start_toy(client, house.api.url, toys[key], calls))
        verdict = judge(house, observer, calls, toys, expected=dict.fromkeys(poisoned, ("failed",)))
        store = JobStore(house.operations)
        for key in poisoned:
            job = store.get(calls.accepted[key][0])
            if (job.attempts, (job.error or {}).get("code")) != (3, "worker-lost"):
                verdict.violations.append(f"{key}: {job.attempts} attempts, {job.error}")
        for key in toys.keys() - poisoned:
            if (attempts := store.get(calls.accepted[key][0]).attempts) > 2:
                verdict.violations.append(f"{key}: {attempts} attempts because of others' deaths")
    return Outcome("poison", verdict, [], calls, 3 * count, time.monotonic() - started)


def storm(house: ToyHouse, seed: int, faults: list[Fault], *, events: int, accounts: int = 6) -> Outcome:
    """Events in any order, many twice, some once more at the end, while things break: each account ends as the last of
    its events found it."""
    started, dice = time.monotonic(), random.Random(seed)
    arena, calls, verdict = Arena(house, dice), Calls(), Verdict()
    names = [f"account-{seed}-{number}" for number in range(accounts)]
    with Observer(lambda: house.api.url, house.operations, seed) as observer, ExitStack() as stack:
        senders = stack.enter_context(ThreadPoolExecutor(4))
        sending = senders.submit(_send_all, house, calls, observer, dice.randrange(1 << 30), names, events)
        for fault in faults:
            threading.Event().wait(dice.uniform(1, 3))
            fault.happen(arena)  # when all is well again shows in the end alone: events start too few jobs to tell
        answered: dict[str, set[str | None]] = sending.result()
        store = JobStore(house.operations)
        wait_until(lambda: not _open_rescores(store), "every rescore has ended", seconds=120, poll=0.3)
        verdict.violations += [*observer.objections(), *calls.wrong, *calls.slow]
    effects = house.toys.effects()
    for name in names:
        if (found := effects.get(name, ("", -1))[1]) != house.toys.ask(name):
            verdict.lost.append(f"{name} is as of event {found}, not of the last one")
    verdict.violations += [
        f"event {event_id} was answered by {len(ids)} jobs"
        for event_id, ids in answered.items()
        if len(ids - {None}) > 1
    ]
    jobs = Counter(job.state for job in _rescores(store))
    verdict.accepted = jobs.total()
    verdict.ended = Counter({str(state): number for state, number in jobs.items()})
    verdict.violations += [f"{count} rescores ended {state}" for state, count in jobs.items() if state != "succeeded"]
    seconds = time.monotonic() - started
    return Outcome("storm of events", verdict, [], calls, arena.kills, seconds, [f"{events} events"])


def _send_all(
    house: ToyHouse, calls: Calls, observer: Observer, seed: int, names: list[str], events: int
) -> dict[str, set[str | None]]:
    """Event id -> the jobs that its deliveries were answered with."""
    dice, answered = random.Random(seed), dict[str, set[str | None]]()
    late: list[tuple[str, str]] = []
    sent: dict[str, str] = {}
    with httpx.Client(timeout=20) as client:

        def send(event_id: str, name: str) -> None:
            job_id = send_event(client, house.api.url, event_id, name, calls)
            answered.setdefault(event_id, set()).add(job_id)
            sent[event_id] = name
            if job_id is not None:
                observer.watch(job_id)

        for number in range(1, events + 1):
            name, event_id = dice.choice(names), f"event-{seed}-{number}"
            house.toys.tell(name, number)
            if dice.random() < 0.2:
                late.append((event_id, name))  # delivered after those that come later
                continue
            send(event_id, name)
            if dice.random() < 0.3:
                send(event_id, name)
            if late and dice.random() < 0.3:
                send(*late.pop(dice.randrange(len(late))))
        for event_id, name in late:
            send(event_id, name)
        for event_id, name in dice.sample(sorted(sent.items()), min(_REPLAYS, len(sent))):
            send(event_id, name)
    return answered


def _rescores(store: JobStore) -> list[JobView]:
    items: list[JobView] = []
    cursor: str | None = None
    while True:
        page = store.page(kind=JobKind.RESCORE, cursor=cursor, limit=200)
        items += page.items
        if (cursor := page.next_cursor) is None:
            return items


def _open_rescores(store: JobStore) -> list[JobView]:
    return [job for job in _rescores(store) if job.state not in _ENDED]


def is_broken_fence_seen(outcome: Outcome) -> Outcome:
    """Of a house without a fence: good is what found a write by a worker that had lost its job."""
    seen = [one for one in outcome.verdict.violations if LOST_THE_JOB in one]
    verdict = Verdict(accepted=outcome.verdict.accepted, ended=outcome.verdict.ended)
    if not seen:
        verdict.violations.append("there was no fence, and nobody noticed")
    notes = [f"{len(seen)} writes were seen that a fence keeps out"]
    return Outcome(outcome.name, verdict, [], outcome.calls, outcome.kills, outcome.seconds, notes)
