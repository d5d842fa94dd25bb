"""HubSpot as its documented contract has it, over real HTTP on a free loopback port, with the faults a test asks for.

The account is `portal` (CRM records and their clock) and `activity` (owners, stages, visits, forms, email). Each
request is answered under one lock, so a test may change the account from `before_answer` in the middle of a scan.
"""

import json
import random
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.hubspot_activity import Activity, ActivityEndpoints
from tests.fakes.hubspot_crm import CrmEndpoints, Refused, to_body
from tests.fakes.hubspot_portal import OBJECTS, Portal
from tests.fakes.serving import LocalServer, RateWindow, read_body

TOKEN = "pat-eu1-fake-token"  # nosec B105: what the fake accepts
SCOPES = {
    "/companies": "crm.objects.companies.read",
    "/contacts": "crm.objects.contacts.read",
    "/deals": "crm.objects.deals.read",
    "/crm/v3/owners": "crm.objects.owners.read",
    "/events/v3": "business-intelligence",
    "/marketing/v3/forms": "forms",
    "/form-integrations": "forms",
    "/email/public": "content",
}


@dataclass(frozen=True)
class Reply:
    """What goes over the wire. `is_dropped`: a reset instead; `is_cut`: half of the body, then a reset."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    is_cut: bool = False


def _limited(**headers: str) -> Reply:
    body = {
        "status": "error",
        "message": "You have reached your ten_secondly_rolling limit.",
        "errorType": "RATE_LIMIT",
    }
    return Reply(429, to_body({**body, "policyName": "TEN_SECONDLY_ROLLING"}), headers)


FAULTS: dict[str, Reply] = {
    "429": _limited(),
    "429-retry-after": _limited(**{"Retry-After": "0"}),
    "500": Reply(500, to_body({"status": "error", "message": "internal error"})),
    "502-html": Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
    "503": Reply(503, b""),
    "reset": Reply(is_dropped=True),
    "cut": Reply(is_cut=True),
}


class FakeHubSpot(LocalServer):
    """`script`: faults for the next requests (None: a good answer); `fault_rate`: so often a random one. A context
    manager. `requests`: method and path with the query, of all that came."""

    def __init__(self, portal: Portal | None = None, *, seed: int = 0) -> None:
        self.portal = portal or Portal(now=int(time.time() * 1000))
        self.crm = CrmEndpoints(self.portal)
        self.activity = ActivityEndpoints(self.portal, Activity())
        self.token = TOKEN
        self.token_lasts: int | None = None
        """Requests after which the token has expired."""
        self.scopes = set(SCOPES.values())
        self.script: deque[str | None] = deque()
        self.fault_rate = 0.0
        self.rate: tuple[int, float] | None = None
        """Requests in any so many seconds; more get a 429."""
        self.refused = 0
        self.longest_url = 8_000
        self.requests: list[str] = []
        self.search_times: list[float] = []
        self.before_answer: Callable[[str], None] = lambda request: None
        self.change_answer: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda request, answer: answer
        self.random = random.Random(seed)
        self._window = RateWindow()
        self._lock = threading.RLock()
        super().__init__(_handler(self))

    def reply_to(self, method: str, target: str, token: str, text: str) -> Reply:
        """One request, answered under the lock."""
        with self._lock:
            self.requests.append(f"{method} {target}")
            self.before_answer(f"{method} {target}")
            if not self._window.admits(self.rate):
                self.refused += 1
                return FAULTS["429"]
            if len(target) > self.longest_url:
                return Reply(414, b"URI Too Long")
            fault = self._next_fault()
            if fault is not None and fault != "cut":
                return FAULTS[fault]
            try:
                self._admit(token, urlsplit(target).path)
                status, answer = self._answer(method, target, text)
                reply = Reply(status, to_body(self.change_answer(f"{method} {target}", answer)))
            except Refused as refused:
                reply = Reply(refused.status, to_body(refused.body))
            return Reply(reply.status, reply.body, is_cut=True) if fault == "cut" else reply

    def _next_fault(self) -> str | None:
        if self.script:
            return self.script.popleft()
        return self.random.choice(list(FAULTS)) if self.random.random() < self.fault_rate else None

    def _admit(self, token: str, path: str) -> None:
        if self.token_lasts is not None:
            self.token_lasts -= 1
            if self.token_lasts < 0:
                raise Refused(401, "The OAuth token used to make this call expired.", "EXPIRED_AUTHENTICATION")
        if token != f"Bearer {self.token}":
            raise Refused(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        for part, scope in SCOPES.items():
            if part in path and scope not in self.scopes:
                message = "This app hasn't been granted all required scopes to make this call."
                needed = [
                    {"message": "One or more scopes are missing.", "context": {"requiredGranularScopes": [scope]}}
                ]
                raise Refused(403, message, "MISSING_SCOPES", errors=needed)

    def _answer(self, method: str, target: str, text: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(target)
        query, path = dict(parse_qsl(parts.query)), parts.path.strip("/").split("/")
        body = json.loads(text) if text else {}
        match path:
            case ["crm", "v3", "objects", kind, *rest] if kind in OBJECTS:
                return self._objects(kind, rest, query, body, text)
            case ["crm", "v4", "associations", near, far, "batch", "read"]:
                return self.crm.read_associations(near, far, body)
            case ["crm", "v3", "properties", kind] if kind in OBJECTS:
                return 200, self.crm.list_properties(kind)
            case ["crm", "v3", "owners"]:
                return 200, self.activity.list_owners(query)
            case ["crm", "v3", "pipelines", "deals"]:
                return 200, self.activity.list_pipelines()
            case ["events", "v3", "events"]:
                return 200, self.activity.list_events(query)
            case ["marketing", "v3", "forms"]:
                return 200, self.activity.list_forms(query)
            case ["form-integrations", "v1", "submissions", "forms", form]:
                return 200, self.activity.list_submissions(form, query)
            case ["email", "public", "v1", "events"]:
                return 200, self.activity.list_email_events(query)
            case ["email", "public", "v1", "campaigns", "by-id"]:
                return 200, self.activity.list_campaigns(query)
            case ["email", "public", "v1", "campaigns", one]:
                return 200, self.activity.read_campaign(one)
        raise Refused(404, f"No such endpoint: {method} {parts.path}", "OBJECT_NOT_FOUND")

    def _objects(
        self, kind: str, rest: list[str], query: dict[str, str], body: dict[str, Any], text: str
    ) -> tuple[int, dict[str, Any]]:
        match rest:
            case []:
                return 200, self.crm.list_objects(kind, query)
            case ["search"]:
                self.search_times.append(time.monotonic())
                return 200, self.crm.search(kind, body, text)
            case ["batch", "read"]:
                return self.crm.read_batch(kind, body, query.get("archived") == "true")
        raise Refused(404, f"No such endpoint of {kind}", "OBJECT_NOT_FOUND")


def _handler(fake: FakeHubSpot) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16  # headers and body in one packet: else each answer waits for a delayed ACK

        def do_GET(self) -> None:
            self._reply("")

        def do_POST(self) -> None:
            self._reply(read_body(self).decode())

        def _reply(self, text: str) -> None:
            reply = fake.reply_to(self.command, self.path, self.headers.get("Authorization", ""), text)
            if reply.is_dropped:
                self._reset()
                return
            try:
                self.send_response_only(reply.status)
                dated = {"Date": formatdate(fake.portal.now / 1000, usegmt=True), "Content-Type": "application/json"}
                for name, value in {**dated, **reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: len(reply.body) // 2] if reply.is_cut else reply.body)
                self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the caller gave up; so does a real server
            if reply.is_cut:
                self._reset()

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
