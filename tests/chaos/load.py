"""Callers of the API: each job is asked for until it is accepted, and every answer is timed."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from tests.chaos.house import WEBHOOK_SECRET
from tests.chaos.toys import Toy

PATIENCE_SECONDS = 3.0  # that a POST may take to be answered, whatever is broken
_CLIENT_TIMEOUT_SECONDS = 20.0  # far beyond it: a slow answer is to be seen, not cut off
_PAUSE_SECONDS = 0.2
_FULL_SECONDS = 2.0  # a caller's pause while the house is full: few jobs, and yet somebody asks whatever breaks
_REFUSED = (429, 500, 502, 503, 504)


@dataclass
class Calls:
    """What the callers have seen. `accepted`: toy's key -> (job id, moment)."""

    accepted: dict[str, tuple[str, float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    slow: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, seconds: float) -> None:
        """One answer, or the failure to get one."""
        with self.guard:
            self.statuses[what] = self.statuses.get(what, 0) + 1
            self.seconds.append(seconds)
            if seconds > PATIENCE_SECONDS:
                self.slow.append(f"POST took {seconds:.1f} s: {what}")


class Load:
    """Threads that start toys, at most `per_second` of them together, until told to stop or out of toys.

    They ask seldom while the house `is_full`.
    """

    def __init__(
        self,
        url: Callable[[], str],
        toys: Iterator[Toy],
        on_accepted: Callable[[str], None],
        *,
        per_second: float,
        is_full: Callable[[], bool] = lambda: False,
        threads: int = 3,
    ) -> None:
        self.calls = Calls()
        self._url, self._toys, self._on_accepted = url, toys, on_accepted
        self._pause = threads / per_second
        self._is_full = is_full
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="load") for _ in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No further toys; those that were begun are asked for until they are accepted."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Until the toys are used up."""
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=_CLIENT_TIMEOUT_SECONDS) as client:
            due = time.monotonic()
            while not self._stop.is_set():
                with self.calls.guard:
                    toy = next(self._toys, None)
                if toy is None:
                    return
                if self._is_full():
                    self._stop.wait(_FULL_SECONDS)
                self._ask(client, toy)
                due = max(due + self._pause, time.monotonic() - 1)  # what an outage held up is not all made up for
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _ask(self, client: httpx.Client, toy: Toy) -> None:
        job_id = start_toy(client, self._url(), toy, self.calls)
        self._on_accepted(job_id)


def start_toy(client: httpx.Client, url: str, toy: Toy, calls: Calls) -> str:
    """The job's id. An answer that was lost is asked for again under the same Idempotency-Key."""
    body = {"scope": {"account_ids": [toy.to_account_id()]}}
    while True:
        asked = time.monotonic()
        try:
            answer = client.post(f"{url}/v1/scorings", json=body, headers={"Idempotency-Key": toy.key})
        except httpx.TransportError as error:
            calls.note(type(error).__name__, time.monotonic() - asked)
        else:
            calls.note(str(answer.status_code), time.monotonic() - asked)
            if answer.status_code == 202:
                job_id = str(answer.json()["id"])
                with calls.guard:
                    calls.accepted[toy.key] = (job_id, time.time())
                return job_id
            if answer.status_code not in _REFUSED:
                with calls.guard:
                    calls.wrong.append(f"POST {toy.key}: {answer.status_code} {answer.text[:200]}")
            elif "application/problem+json" not in answer.headers.get("Content-Type", ""):
                with calls.guard:
                    calls.wrong.append(f"POST {toy.key}: {answer.status_code} is no problem document")
        threading.Event().wait(_PAUSE_SECONDS)


def send_event(client: httpx.Client, url: str, event_id: str, account_id: str, calls: Calls) -> str | None:
    """One signed event, delivered until it is acknowledged. The job that answers it, None for a duplicate of old."""
    body = json.dumps({"type": "account.changed", "account_id": account_id}).encode()
    while True:
        sent = str(int(time.time()))
        key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
        digest = base64.b64encode(hmac.digest(key, f"{event_id}.{sent}.".encode() + body, "sha256")).decode()
        headers = {"webhook-id": event_id, "webhook-timestamp": sent, "webhook-signature": f"v1,{digest}"}
        asked = time.monotonic()
        try:
            answer = client.post(f"{url}/v1/webhooks/generic", content=body, headers=headers)
        except httpx.TransportError as error:
            calls.note(type(error).__name__, time.monotonic() - asked)
        else:
            calls.note(str(answer.status_code), time.monotonic() - asked)
            if answer.status_code == 202:
                job_id: str | None = answer.json()["job_id"]
                return job_id
            if answer.status_code not in _REFUSED:
                with calls.guard:
                    calls.wrong.append(f"event {event_id}: {answer.status_code} {answer.text[:200]}")
        threading.Event().wait(_PAUSE_SECONDS)
