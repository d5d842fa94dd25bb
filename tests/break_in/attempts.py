"""What was tried to get in, as data: each attempt is the bytes of a request and the answers that are no way in.

A row's `got` is what docs/security.md says; `make break-in` holds the running services to it.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.break_in.target import (
    ORGANIZATION,
    SALESFORCE_TOKEN,
    Answer,
    Target,
    sign_hubspot,
    sign_standard,
)

Make = Callable[[Target], bytes]
Check = Callable[[Answer, Target], bool]


@dataclass(frozen=True)
class Attempt:
    """`expected`: the statuses of which each is a refusal, or harmless; 0 is a closed connection. `code` is the
    problem's. `holds` looks further, at the answer or at the house."""

    id: str
    what: str
    service: str
    make: Make
    expected: tuple[int, ...]
    got: str
    code: str | None = None
    holds: Check | None = None


def request(
    path: str, method: str = "GET", *, key: str | None = None, headers: tuple[str, ...] = (), body: bytes | None = None
) -> Make:
    """A well-formed request; `key` names one of the target's."""

    def make(target: Target) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
        if not any(one.lower().startswith("host:") for one in headers):
            lines.append("Host: gtm.example.com")
        if key is not None:
            lines.append(f"Authorization: Bearer {target.keys[key]}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
            if not any(one.lower().startswith("content-type:") for one in headers):
                lines.append("Content-Type: application/json")
        head = "\r\n".join([*lines, *headers]).encode("utf-8", "surrogateescape")
        return head + b"\r\n\r\n" + (body or b"")

    return make


def post(path: str, body: Any, *, key: str | None = "both", headers: tuple[str, ...] = ()) -> Make:
    """JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(path, "POST", key=key, headers=headers, body=content)


def raw(text: str) -> Make:
    """Bytes as they are; {read} and {both} are those keys."""
    return lambda target: text.format(**target.keys).replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def with_key(change: Callable[[str], str]) -> Make:
    """A read with a key that is nearly right."""
    return lambda target: request("/v1/jobs", headers=(f"Authorization: Bearer {change(target.keys['read'])}",))(target)


def signed(door: str, body: bytes, sign: Callable[[bytes], dict[str, str]], *, sent: bytes | None = None) -> Make:
    """Signed when it is sent; `sent` is another body than the signed one."""

    def make(target: Target) -> bytes:
        headers = tuple(f"{name}: {value}" for name, value in sign(body).items())
        return post(f"/v1/webhooks/{door}", body if sent is None else sent, key=None, headers=headers)(target)

    return make


def no_such(text: str) -> Check:
    """The answer does not hold it."""
    return lambda answer, _: text not in answer.text


def tables_stand(_answer: Answer, target: Target) -> bool:
    return {"jobs", "api_keys", "audit_log", "webhook_events"} <= target.tables()


def no_header(name: str) -> Check:
    """The answer's head has none of this name."""
    return lambda answer, _: f"\n{name.lower()}:".encode() not in answer.head.lower()


def asks_for_a_key(answer: Answer, _target: Target) -> bool:
    return b"\nwww-authenticate: bearer" in answer.head.lower()


def one_answer(answer: Answer, _target: Target) -> bool:
    return answer.answers <= 1


def says_nothing(answer: Answer, _target: Target) -> bool:
    body = answer.text.partition("\r\n\r\n")[2]
    return json.loads(body).keys() == {"status"}


def no_line_forged(_answer: Answer, target: Target) -> bool:
    log = target.log()
    return not any(line.startswith('{"event": "forged') for line in log.splitlines()) and "\x1b" not in log


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


_JWT: Final = f"{_b64(json.dumps({'alg': 'none'}))}.{_b64(json.dumps({'sub': 'admin', 'scope': 'admin'}))}."
_DROP: Final = "x'; DROP TABLE jobs; --"
_EVENT: Final = json.dumps({"type": "account.changed", "account_id": "a1"}).encode()
_HUBSPOT_EVENT: Final = json.dumps([{"subscriptionType": "company.creation", "eventId": 1, "objectId": 1}]).encode()
_FILES: Final = {"source": "files", "options": {"mapping": "hubspot_export", "path": "hubspot"}}


def _files(**options: str) -> dict[str, Any]:
    return {"source": "files", "options": {"mapping": "hubspot_export", "path": "hubspot", **options}}


def _soap(head: str = "", organization: str = ORGANIZATION) -> bytes:
    return (
        f"{head}<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>"
        "<notifications xmlns='http://soap.sforce.com/2005/09/outbound'>"
        f"<OrganizationId>{organization}</OrganizationId></notifications></e:Body></e:Envelope>"
    ).encode()


_XXE: Final = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
_XML: Final = ("Content-Type: text/xml",)
_SALESFORCE: Final = "/v1/webhooks/salesforce"

KEYS: Final = [
    Attempt("no-key", "no key", "ingest", request("/v1/jobs"), (401,), "401 unauthorised", "unauthorised", asks_for_a_key),
    Attempt("empty-key", "an empty key", "ingest", request("/v1/jobs", headers=("Authorization: Bearer ",)), (401,), "401"),
    Attempt("expired-key", "a key that has expired", "ingest", request("/v1/jobs", key="expired"), (401,), "401"),
    Attempt("revoked-key", "a key that was revoked", "ingest", request("/v1/jobs", key="revoked"), (401,), "401"),
    Attempt("wrong-secret", "a known id with another secret", "ingest", with_key(lambda key: key[:-3] + "AAA"), (401,), "401"),
    Attempt("unknown-id", "an unknown id with a known secret", "ingest", with_key(lambda key: "gtm_aaaaaaaaaaaa_" + key[17:]), (401,), "401"),
    Attempt("longer-key", "a right key with a letter more", "ingest", with_key(lambda key: key + "A"), (401,), "401"),
    Attempt("upper-key", "a right key in capitals", "ingest", with_key(str.upper), (401,), "401"),
    Attempt("lookalike-key", "a right key with a Cyrillic letter in its prefix", "ingest", with_key(lambda key: "gтm" + key[3:]), (401, 400), "401"),
    Attempt("null-key", "a right key with a NUL behind it", "ingest", with_key(lambda key: key + "\0x"), (400, 401), "400, by the HTTP parser"),
    Attempt("key-in-query", "a right key in the address", "ingest", lambda target: request(f"/v1/jobs?key={target.keys['read']}&access_token={target.keys['read']}")(target), (401,), "401"),
    Attempt("key-in-cookie", "a right key as a cookie", "ingest", lambda target: request("/v1/jobs", headers=(f"Cookie: key={target.keys['read']}",))(target), (401,), "401"),
    Attempt("basic-auth", "a right key as Basic", "ingest", lambda target: request("/v1/jobs", headers=(f"Authorization: Basic {target.keys['read']}",))(target), (401,), "401"),
    Attempt("two-keys", "two Authorization headers, the second right", "ingest", lambda target: request("/v1/jobs", key="read", headers=("Authorization: Bearer x",))(target), (401,), "401"),
    Attempt("jwt-none", "a JWT without a signature", "ingest", request("/v1/jobs", headers=(f"Authorization: Bearer {_JWT}",)), (401,), "401"),
    Attempt("jwt-of-id", "a JWT with a known key's id in it", "ingest", with_key(lambda key: f"{_JWT}{key[4:16]}"), (401,), "401"),
    Attempt("sql-in-key", "SQL as a key", "ingest", request("/v1/jobs", headers=("Authorization: Bearer gtm_' OR 1=1 --_x",)), (401,), "401"),
    Attempt("huge-key", "a key of 60 KB", "ingest", request("/v1/jobs", headers=(f"Authorization: Bearer {'a' * 60_000}",)), (400, 401, 431), "431, by the frame or the HTTP parser"),
    Attempt("read-starts", "a key of scope read starts a build", "transform", post("/v1/builds", {}, key="read"), (403,), "403 scope-missing", "scope-missing"),
    Attempt("read-cancels", "a key of scope read cancels", "ingest", post("/v1/jobs/x/cancel", {}, key="read"), (403,), "403", "scope-missing"),
    Attempt("run-reads", "a key of scope run reads", "ingest", request("/v1/jobs", key="run"), (403,), "403", "scope-missing"),
    Attempt("webhook-reads", "a key of scope webhook reads", "scoring", request("/v1/leads", key="webhook"), (403,), "403", "scope-missing"),
    Attempt("personal-rows", "failed rows, which may be personal, without admin", "transform", request("/v1/builds/x/nodes/y/rows", key="both"), (403,), "403", "scope-missing"),
    Attempt("loopback-in-production", "from this machine, by a loopback name, without a key, in production", "ingest", request("/v1/jobs", headers=("Host: localhost",)), (401,), "401"),
    Attempt("forwarded-for", "said to come from 127.0.0.1", "ingest", request("/v1/jobs", headers=("X-Forwarded-For: 127.0.0.1", "Host: localhost")), (401,), "401"),
    Attempt("method-override", "a read that is said to be a start", "transform", request("/v1/builds", key="both", headers=("X-HTTP-Method-Override: POST",)), (404, 405), "405"),
]

LAPTOP: Final = [
    Attempt("rebinding", "DNS rebinding: a page of evil.example that resolves to 127.0.0.1 (GTM_ENV=local)", "laptop", request("/v1/jobs", headers=("Host: evil.example",)), (401, 403), "403"),
    Attempt("rebinding-port", "the same with a port and a loopback name before it", "laptop", request("/v1/jobs", headers=("Host: 127.0.0.1.evil.example:8101",)), (401, 403), "403"),
    Attempt("no-host", "no Host header (GTM_ENV=local)", "laptop", raw("GET /v1/jobs HTTP/1.0\n\n"), (400, 401, 403), "403"),
    Attempt("behind-a-proxy", "through a proxy on this machine (GTM_ENV=local)", "laptop", request("/v1/jobs", headers=("Host: localhost", "X-Forwarded-For: 203.0.113.9")), (401, 403), "403"),
    Attempt("cross-site", "a form of another site posts to localhost (GTM_ENV=local)", "laptop", request("/v1/syncs", "POST", headers=("Host: localhost", "Origin: https://evil.example", "Content-Type: text/plain"), body=b'{"source":"mock"}'), (401, 403, 415, 422), "415: a form can't send JSON"),
    Attempt("cors", "another site asks whether it may (GTM_ENV=local)", "laptop", request("/v1/jobs", "OPTIONS", headers=("Host: localhost", "Origin: https://evil.example", "Access-Control-Request-Method: GET")), (401, 403, 404, 405), "405, and no CORS header", None, no_header("access-control-allow-origin")),
]

PATHS: Final = [
    Attempt("dot-dot", "../ in the path", "ingest", request("/v1/jobs/../../../etc/passwd", key="read"), (404,), "404", None, no_such("root:")),
    Attempt("encoded-dot-dot", "%2e%2e%2f in the path", "ingest", request("/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd", key="read"), (404,), "404", None, no_such("root:")),
    Attempt("docs-dot-dot", "../ behind the dbt pages", "transform", request("/docs/dbt/..%2f..%2f..%2f..%2fetc/passwd", key="read"), (404,), "404", None, no_such("root:")),
    Attempt("problem-page", "../ behind the problems' pages", "ingest", request("/problems/..%2f..%2fpyproject"), (404,), "404", None, no_such("build-system")),
    Attempt("static", "../ behind the documentation's static files", "ingest", request("/static-offline-docs/..%2f..%2f..%2fapp.py", key="read"), (401, 404), "404", None, no_such("import")),
    Attempt("folder-up", "a sync of ../../etc", "ingest", post("/v1/syncs", _files(path="../../etc")), (422,), "422 path-not-allowed", "path-not-allowed"),
    Attempt("folder-absolute", "a sync of /etc", "ingest", post("/v1/syncs", _files(path="/etc")), (422,), "422", "path-not-allowed"),
    Attempt("folder-link", "a sync of a link to /etc inside of the roots", "ingest", post("/v1/syncs", _files(path="link")), (422,), "422", "path-not-allowed"),
    Attempt("file-link", "a data file that is a link to /etc/passwd", "ingest", post("/v1/syncs/check", _files()), (422,), "422", "path-not-allowed"),
    Attempt("folder-proc", "a sync of /proc/self", "ingest", post("/v1/syncs", _files(path="/proc/self")), (422,), "422", "path-not-allowed"),
    Attempt("folder-null", "a NUL in the folder's name", "ingest", post("/v1/syncs", _files(path="hubspot\0/etc")), (422,), "422"),
    Attempt("folder-check", "the same by a check, which says what it finds", "ingest", post("/v1/syncs/check", _files(path="/etc")), (422,), "422", "path-not-allowed"),
    Attempt("mapping-up", "a mapping ../../../etc/passwd", "ingest", post("/v1/syncs", _files(mapping="../../../etc/passwd")), (422,), "422 unknown-mapping", "unknown-mapping", no_such("root:")),
    Attempt("left-over", "/.env, which servers forget", "ingest", request("/.env", key="read"), (404,), "404"),
    Attempt("git", "/.git/config", "ingest", request("/.git/config", key="read"), (404,), "404"),
]

SQL: Final = [
    Attempt("sql-job", "SQL as a job's id", "ingest", request("/v1/jobs/x'%20OR%20'1'='1", key="read"), (404,), "404", "job-not-found", tables_stand),
    Attempt("sql-kind", "SQL as a kind of job", "ingest", request("/v1/jobs?kind=sync'%20UNION%20SELECT%201--", key="read"), (422,), "422"),
    Attempt("sql-cursor", "SQL in a cursor", "ingest", request(f"/v1/jobs?cursor={_b64('2026-11-24T00:00:00+00:00|' + _DROP)}%3D%3D", key="read"), (200, 422), "an empty page", None, tables_stand),
    Attempt("sql-source", "SQL as a source", "ingest", post("/v1/syncs", {"source": _DROP}), (422,), "422 unknown-source", "unknown-source", tables_stand),
    Attempt("sql-idempotency", "SQL as an idempotency key", "transform", post("/v1/builds", {}, headers=(f"Idempotency-Key: {_DROP}",)), (202, 422), "202: a value, bound", None, tables_stand),
    Attempt("sql-accounts", "SQL as an account's id", "scoring", post("/v1/scorings", {"scope": {"account_ids": [_DROP]}}), (202, 422), "202: a value, bound", None, tables_stand),
    Attempt("sql-node", "SQL as a node of a build", "transform", request("/v1/builds/x/nodes/y';DROP%20TABLE%20jobs;--/rows", key="admin"), (404,), "404", None, tables_stand),
    Attempt("sql-tier", "SQL as a tier of leads", "scoring", request("/v1/leads?tier=A'%20OR%201=1--", key="read"), (422,), "422"),
    Attempt("sql-lead", "SQL as a lead's id", "scoring", request("/v1/leads/x'%20OR%201=1--", key="read"), (404, 409, 503), "404", None, tables_stand),
    Attempt("sql-select", "SQL in a build's selection", "transform", post("/v1/builds", {"select": "x; drop table jobs"}), (422,), "422"),
    Attempt("jinja-select", "Jinja in a build's selection", "transform", post("/v1/builds", {"select": "{{ run_query('drop') }}"}), (422,), "422"),
    Attempt("option-select", "an option of dbt in a build's selection", "transform", post("/v1/builds", {"select": "--project-dir /tmp/evil"}), (422,), "422"),
    Attempt("mapping-table", "a field that no request has", "ingest", post("/v1/syncs", {"source": "mock", "table": _DROP}), (422,), "422"),
]

BODIES: Final = [
    Attempt("large", "a body of 2 MB", "ingest", post("/v1/syncs", b'{"source": "' + b"a" * 2_000_000 + b'"}'), (413,), "413 body-too-large", "body-too-large"),
    Attempt("large-unannounced", "the same in chunks, its length not announced", "ingest", lambda target: request("/v1/syncs", "POST", key="both", headers=("Transfer-Encoding: chunked", "Content-Type: application/json"))(target) + b"%x\r\n" % 2_000_000 + b"a" * 2_000_000 + b"\r\n0\r\n\r\n", (413,), "413"),
    Attempt("large-lie", "a length of 10 GB announced, nothing sent", "ingest", request("/v1/syncs", "POST", key="both", headers=("Content-Length: 10000000000", "Content-Type: application/json")), (0, 400, 408, 413), "413, or no answer until the sender goes on"),
    Attempt("deep", "JSON 100,000 lists deep", "ingest", post("/v1/syncs", b"[" * 100_000 + b"]" * 100_000), (400, 422), "422"),
    Attempt("deep-options", "options 10,000 objects deep", "ingest", post("/v1/syncs", b'{"source":"mock","options":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001), (400, 422), "422"),
    Attempt("huge-number", "a number of 100,000 digits", "scoring", post("/v1/scorings", b'{"limit":' + b"9" * 100_000 + b"}"), (400, 422), "422"),
    Attempt("not-a-number", "NaN and Infinity", "ingest", post("/v1/syncs", b'{"source":"mock","options":{"accounts":NaN,"dirt":Infinity}}'), (400, 422), "422"),
    Attempt("nul", "a NUL in a text", "scoring", post("/v1/scorings", {"scope": {"account_ids": ["a\0b"]}}), (422,), "422"),
    Attempt("half-a-character", "half of a surrogate pair", "scoring", post("/v1/scorings", b'{"scope":{"account_ids":["\\ud800"]}}'), (422,), "422"),
    Attempt("not-utf8", "bytes that are no UTF-8", "ingest", post("/v1/syncs", b'{"source":"\xff\xfe"}'), (400, 422), "422"),
    Attempt("xml", "XML where JSON is wanted", "ingest", request("/v1/syncs", "POST", key="both", headers=("Content-Type: application/xml",), body=b"<x/>"), (415, 422), "415"),
    Attempt("packed", "a body said to be gzip", "ingest", request("/v1/syncs", "POST", key="both", headers=("Content-Encoding: gzip",), body=b"\x1f\x8b" + b"\0" * 100), (400, 415, 422), "422: nothing is unpacked"),
    Attempt("pickle", "a pickle", "ingest", request("/v1/syncs", "POST", key="both", headers=("Content-Type: application/python-pickle",), body=b"cos\nsystem\n(S'id'\ntR."), (415, 422), "415"),
]

OUTBOUND: Final = [
    Attempt("ssrf-option", "a sync of HubSpot at http://169.254.169.254", "ingest", post("/v1/syncs", {"source": "hubspot", "options": {"url": "http://169.254.169.254/latest"}}), (422,), "422: no request names an address"),
    Attempt("ssrf-folder", "a folder that is a URL", "ingest", post("/v1/syncs", _files(path="http://169.254.169.254/")), (422,), "422"),
    Attempt("ssrf-model", "a scoring by a model of one's own", "scoring", post("/v1/scorings", {"ollama_host": "http://evil.example"}), (422,), "422"),
    Attempt("ssrf-proxy", "the API as a proxy (absolute address)", "ingest", raw("GET http://169.254.169.254/latest/meta-data HTTP/1.1\nHost: 169.254.169.254\nConnection: close\nAuthorization: Bearer {read}\n\n"), (400, 404), "404 of its own"),
    Attempt("connect", "CONNECT to Redis", "ingest", raw("CONNECT 127.0.0.1:6379 HTTP/1.1\nHost: 127.0.0.1:6379\nConnection: close\nAuthorization: Bearer {both}\n\n"), (400, 404, 405), "404 of its own"),
]

HEADERS: Final = [
    Attempt("split-path", "a line end in the path", "ingest", request("/v1/jobs/x%0d%0aSet-Cookie:%20a=b", key="read"), (404,), "404", None, no_header("set-cookie")),
    Attempt("split-key", "a line end in the idempotency key", "transform", post("/v1/builds", {}, headers=("Idempotency-Key: a\rSet-Cookie: a=b",)), (400, 422), "400", None, no_header("set-cookie")),
    Attempt("split-id", "a line end in the request id", "ingest", request("/v1/jobs", key="read", headers=("X-Request-ID: a%0d%0aSet-Cookie:a=b",)), (200,), "200 with an id of its own", None, no_header("set-cookie")),
    Attempt("host-in-location", "another host's name, for the answer's Location", "transform", post("/v1/builds", {}, headers=("Host: evil.example", "X-Forwarded-Host: evil.example")), (202, 403), "202; Location is a path", None, no_such("evil.example")),
    Attempt("slash-redirect", "a path with a slash too many, by another host's name", "ingest", request("/v1/jobs/", key="read", headers=("Host: evil.example",)), (404, 405), "404: no redirect", None, no_header("location")),
    Attempt("double-slash", "//evil.example, for a redirect there", "ingest", request("//evil.example/%2f..", key="read"), (400, 404), "404", None, no_header("location")),
    Attempt("trace", "TRACE, to see headers that a proxy adds", "ingest", request("/v1/jobs", "TRACE", key="read"), (400, 404, 405), "405", None, no_such("gtm_")),
    Attempt("many-headers", "5,000 headers", "ingest", request("/healthz", headers=tuple(f"X-{number}: {'a' * 20}" for number in range(5000))), (400, 431), "431"),
    Attempt("long-path", "a path of 60 KB", "ingest", request("/v1/" + "a" * 60_000, key="read"), (400, 404, 414), "414"),
    Attempt("log-path", "a line for the log, in the path", "ingest", request('/v1/%0a%7B"event":%20"forged"%7D', key="read"), (404,), "404; the log has no such line", None, no_line_forged),
    Attempt("log-id", "a terminal's escapes in the request id", "ingest", request("/v1/jobs", headers=("X-Request-ID: \x1b[2J\x1b]0;x",)), (400, 401), "401; the log has none", None, no_line_forged),
    Attempt("log-source", "line end and escapes in a field", "ingest", post("/v1/syncs", {"source": '\n{"event": "forged"}\x1b[2J'}), (422,), "422; the log has no such line", None, no_line_forged),
]

SMUGGLING: Final = [
    Attempt("cl-te", "Content-Length and Transfer-Encoding together, a second request in the body", "ingest", raw("POST /v1/jobs HTTP/1.1\nHost: a\nContent-Length: 60\nTransfer-Encoding: chunked\n\n0\n\nGET /v1/jobs HTTP/1.1\nHost: a\nAuthorization: Bearer {read}\n\n"), (0, 400, 401, 405), "400, or closed behind the first", None, lambda answer, _: b'"items"' not in answer.raw),
    Attempt("te-te", "an unknown Transfer-Encoding", "ingest", raw("POST /v1/syncs HTTP/1.1\nHost: a\nConnection: close\nTransfer-Encoding: xchunked\nAuthorization: Bearer {both}\n\n0\n\n"), (0, 400, 415, 422, 501), "400"),
    Attempt("cl-cl", "two lengths that differ", "ingest", raw("POST /v1/syncs HTTP/1.1\nHost: a\nContent-Length: 0\nContent-Length: 40\nAuthorization: Bearer {both}\n\nGET /v1/jobs HTTP/1.1\nHost: a\n\n"), (0, 400), "400", None, one_answer),
    Attempt("bad-chunk", "a chunk whose size is no number", "ingest", raw("POST /v1/syncs HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nAuthorization: Bearer {both}\n\n-1\nx\n0\n\n"), (0, 400, 413, 422), "400", None, one_answer),
    Attempt("spaced-header", "a space before a header's colon", "ingest", raw("GET /v1/jobs HTTP/1.1\nHost: a\nConnection: close\nAuthorization : Bearer {read}\n\n"), (0, 400, 401), "400"),
    Attempt("old-http", "HTTP/0.9", "ingest", raw("GET /v1/jobs\n\n"), (0, 400, 401), "401, as any other"),
    Attempt("no-http", "no HTTP at all: Redis's protocol", "ingest", raw("*1\n$8\nFLUSHALL\n"), (0, 400), "400"),
    Attempt("websocket", "an upgrade to a web socket", "ingest", raw("GET /v1/jobs HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"), (0, 400, 401, 403, 404), "403"),
]

WEBHOOKS: Final = [
    Attempt("unsigned", "an event without a signature", "scoring", post("/v1/webhooks/generic", _EVENT, key=None), (401,), "401 webhook-signature-invalid", "webhook-signature-invalid"),
    Attempt("key-for-signature", "an event with an admin's key instead", "scoring", post("/v1/webhooks/generic", _EVENT, key="admin"), (401,), "401", "webhook-signature-invalid"),
    Attempt("other-body", "a signature of another body", "scoring", signed("generic", _EVENT, sign_standard, sent=_EVENT.replace(b"a1", b"a2")), (401,), "401"),
    Attempt("old-event", "a signed event of an hour ago", "scoring", signed("generic", _EVENT, lambda body: sign_standard(body, shift=-3600)), (401,), "401"),
    Attempt("future-event", "a signed event of tomorrow", "scoring", signed("generic", _EVENT, lambda body: sign_standard(body, shift=86_400)), (401,), "401"),
    Attempt("garbage-signature", "`v1` alone as a signature", "scoring", signed("generic", _EVENT, lambda body: sign_standard(body) | {"webhook-signature": "v1"}), (401,), "401"),
    Attempt("replay", "a signed event, recorded and sent again", "scoring", lambda target: (target.send("scoring", signed("generic", _EVENT, lambda body: sign_standard(body, id="replayed"))(target)), signed("generic", _EVENT, lambda body: sign_standard(body, id="replayed"))(target))[1], (202,), "202 duplicate: no second effect", None, lambda answer, _: '"duplicate"' in answer.text),
    Attempt("hubspot-unsigned", "events of HubSpot without a signature", "scoring", post("/v1/webhooks/hubspot", _HUBSPOT_EVENT, key=None), (401,), "401"),
    Attempt("hubspot-old", "a call of HubSpot of six minutes ago", "scoring", signed("hubspot", _HUBSPOT_EVENT, lambda body: sign_hubspot(body, shift=-360)), (401,), "401"),
    Attempt("hubspot-tomorrow", "a call of HubSpot of tomorrow, which HubSpot's own library lets in", "scoring", signed("hubspot", _HUBSPOT_EVENT, lambda body: sign_hubspot(body, shift=86_400)), (401,), "401"),
    Attempt("hubspot-path", "a signature of another address", "scoring", signed("hubspot", _HUBSPOT_EVENT, lambda body: sign_hubspot(body, path="/v1/webhooks/generic")), (401,), "401"),
    Attempt("hubspot-downgrade", "a signature of version 1, which never ages", "scoring", signed("hubspot", _HUBSPOT_EVENT, lambda _: {"X-HubSpot-Signature-Version": "v1", "X-HubSpot-Signature": "0" * 64}), (401,), "401"),
    Attempt("hubspot-many", "101 events, well signed", "scoring", signed("hubspot", json.dumps([{}] * 101).encode(), sign_hubspot), (422,), "422"),
    Attempt("salesforce-no-token", "a message of Salesforce without the token", "scoring", request(_SALESFORCE, "POST", headers=_XML, body=_soap()), (401,), "401"),
    Attempt("salesforce-two-tokens", "two tokens, one of them right", "scoring", request(f"{_SALESFORCE}?token=x&token={SALESFORCE_TOKEN}", "POST", headers=_XML, body=_soap()), (401,), "401"),
    Attempt("salesforce-other-org", "the right token, another organisation", "scoring", request(f"{_SALESFORCE}?token={SALESFORCE_TOKEN}", "POST", headers=_XML, body=_soap(organization="00D000000000009EAA")), (401,), "401"),
    Attempt("xxe", "an external entity in the XML", "scoring", request(f"{_SALESFORCE}?token={SALESFORCE_TOKEN}", "POST", headers=_XML, body=_soap(_XXE, "&f;")), (422,), "422", None, no_such("root:")),
    Attempt("laughs", "a billion laughs", "scoring", request(f"{_SALESFORCE}?token={SALESFORCE_TOKEN}", "POST", headers=_XML, body=_soap('<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>', "&b;")), (422,), "422"),
]

SHOWN: Final = [
    Attempt("docs", "the API's description without a key", "ingest", request("/openapi.json"), (401,), "401"),
    Attempt("metrics", "the metrics without a key", "ingest", request("/metrics"), (401,), "401"),
    Attempt("readiness", "what an anonymous caller learns of versions and errors", "ingest", request("/readyz"), (200, 503), "the status alone", None, says_nothing),
    Attempt("error-page", "a wrong request, for a traceback", "ingest", post("/v1/syncs", b"{"), (400, 422), "422, without one", None, no_such("Traceback")),
    Attempt("others-job", "whether a job's id that was never given is told from a wrong one", "ingest", request("/v1/jobs/00000000-0000-0000-0000-000000000000", key="read"), (404,), "404", "job-not-found"),
]

SECTIONS: Final[dict[str, list[Attempt]]] = {
    "Keys": KEYS,
    "A laptop": LAPTOP,
    "Paths and folders": PATHS,
    "SQL and code": SQL,
    "Bodies": BODIES,
    "Calls to elsewhere": OUTBOUND,
    "Headers and logs": HEADERS,
    "Smuggling": SMUGGLING,
    "Webhooks": WEBHOOKS,
    "What is shown": SHOWN,
}
ATTEMPTS: Final = [attempt for section in SECTIONS.values() for attempt in section]
