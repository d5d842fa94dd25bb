"""Work for a stack in containers, and an observer outside of it that writes down every promise that it breaks."""

import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from standardwebhooks import Webhook

from tests.docker_smoke import PIPELINE
from tests.docker_stack import SERVICES, TERMINAL, Stack

# kind -> (service, path, body): small ones, so that there are many.
_STARTS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "sync": ("ingest", "/v1/syncs", PIPELINE["sync"]),
    "build": ("transform", "/v1/builds", {"select": "dim_accounts"}),
    "scoring": ("scoring", "/v1/scorings", {"limit": 5}),
    "rescore": ("scoring", "/v1/webhooks/generic", {"type": "account.changed"}),
}
_AT_ONCE: Final = {"sync": 3, "build": 1, "scoring": 3, "rescore": 3}  # of a kind, accepted and not finished
_ORDER: Final = {"queued": 0, "running": 1, **dict.fromkeys(TERMINAL, 2)}
_PATIENCE_SECONDS: Final = 3.0  # within which a POST is answered, whatever is down
_PAUSE_SECONDS: Final = 0.5


@dataclass
class Accepted:
    """A job that was promised with a 202, and how it was seen last."""

    kind: str
    key: str
    accepted_at: float
    state: str = "queued"
    job: dict[str, Any] = field(default_factory=dict)


class Load:
    """Starts jobs and polls every one that was accepted, in two threads, until left."""

    def __init__(self, stack: Stack, account_id: str, seed: int) -> None:
        self._stack = stack
        self._account_id = account_id
        self._random = random.Random(seed)
        self._stop, self._is_paused = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._start_jobs, self._poll_jobs)]
        self.jobs: dict[str, Accepted] = {}
        self.violations: list[str] = []
        self.slowest_post_seconds = 0.0
        self.refused = 0

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def pause(self) -> None:
        """No new jobs; those that were accepted are polled on."""
        self._is_paused.set()

    def open_since(self, moment: float) -> list[str]:
        """Ids accepted before `moment` (monotonic) that have not ended."""
        return [key for key, one in list(self.jobs.items()) if one.accepted_at < moment and one.state not in TERMINAL]

    def _start_jobs(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.wait(_PAUSE_SECONDS):
                open_kinds = [one.kind for one in list(self.jobs.values()) if one.state not in TERMINAL]
                wanted = [kind for kind, most in _AT_ONCE.items() if open_kinds.count(kind) < most]
                if wanted and not self._is_paused.is_set():
                    self._start(client, self._random.choice(wanted))

    def _start(self, client: httpx.Client, kind: str) -> None:
        """Tried again, by the same key, until it is accepted: what a careful caller does."""
        service, path, body = _STARTS[kind]
        key = str(uuid.uuid4())
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                answer = client.post(self._stack.urls[service] + path, **self._call(kind, key, body))
            except httpx.ReadTimeout:
                self.violations.append(f"POST {path}: no answer in 10 s")
                continue
            except httpx.TransportError:  # nobody listens: it was this API that was killed
                self._stop.wait(_PAUSE_SECONDS)
                continue
            seconds = time.monotonic() - started
            self.slowest_post_seconds = max(self.slowest_post_seconds, seconds)
            if seconds > _PATIENCE_SECONDS:
                self.violations.append(f"POST {path}: answered {answer.status_code} after {seconds:.1f} s")
            if answer.is_success:
                job_id = answer.json().get("job_id" if kind == "rescore" else "id")
                if job_id is not None:
                    self.jobs.setdefault(job_id, Accepted(kind, key, time.monotonic()))
                return
            if answer.status_code not in (429, 503):
                self.violations.append(f"POST {path}: {answer.status_code} {answer.text}")
                return
            self.refused += 1
            self._stop.wait(_PAUSE_SECONDS)

    def _call(self, kind: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind != "rescore":
            return {"json": body, "headers": {"Authorization": f"Bearer {self._stack.key}", "Idempotency-Key": key}}
        content, now = json.dumps(body | {"account_id": self._account_id}), datetime.now(UTC)
        headers = {
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._stack.webhook_secret).sign(key, now, content),
        }
        return {"content": content, "headers": headers}

    def _poll_jobs(self) -> None:
        with httpx.Client(timeout=5, headers={"Authorization": f"Bearer {self._stack.key}"}) as client:
            while not self._stop.wait(_PAUSE_SECONDS):
                for job_id, one in list(self.jobs.items()):
                    if one.state not in TERMINAL:
                        self.look(client, job_id, one)

    def look(self, client: httpx.Client, job_id: str, one: Accepted) -> None:
        """Ask any API that answers; write down what must not be."""
        for service in SERVICES:
            try:
                answer = client.get(f"{self._stack.urls[service]}/v1/jobs/{job_id}")
            except httpx.TransportError:
                continue
            if answer.status_code == 404:
                self.violations.append(f"{one.kind} {job_id}: was accepted, and is 404")
            if not answer.is_success:
                continue
            job = answer.json()
            if _ORDER[job["state"]] < _ORDER[one.state] or (one.state in TERMINAL and job["state"] != one.state):
                self.violations.append(f"{one.kind} {job_id}: {one.state}, then {job['state']}")
            one.state, one.job = job["state"], job
            return
