"""Requests in requests, and what is hardly HTTP."""

from typing import Final

from tests.break_in.attempt import Attempt, one_answer, raw

SMUGGLING: Final = [
    Attempt(
        "cl-te",
        "Content-Length and Transfer-Encoding together, a second request in the body",
        "ingest",
        raw(
            "POST /v1/jobs HTTP/1.1\nHost: a"
            "\nContent-Length: 60\nTransfer-Encoding: chunked\n\n0\n\n"
            "GET /v1/jobs HTTP/1.1\nHost: a\nAuthorization: Bearer {read}\n\n"
        ),
        400,
        holds=lambda answer, _: b'"items"' not in answer.raw,
    ),
    Attempt(
        "te-te",
        "an unknown Transfer-Encoding",
        "ingest",
        raw(
            "POST /v1/syncs HTTP/1.1\nHost: a\nConnection: close"
            "\nTransfer-Encoding: xchunked\nAuthorization: Bearer {both}\n\n0\n\n"
        ),
        400,
    ),
    Attempt(
        "cl-cl",
        "two lengths that differ",
        "ingest",
        raw(
            "POST /v1/syncs HTTP/1.1\nHost: a"
            "\nContent-Length: 0\nContent-Length: 40\n"
            "Authorization: Bearer {both}\n\nGET /v1/jobs HTTP/1.1\nHost: a\n\n"
        ),
        400,
        holds=one_answer,
    ),
    Attempt(
        "bad-chunk",
        "a chunk whose size is no number",
        "ingest",
        raw(
            "POST /v1/syncs HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nAuthorization: Bearer {both}\n\n-1\nx\n0\n\n"
        ),
        400,
        holds=one_answer,
    ),
    Attempt(
        "spaced-header",
        "a space before a header's colon",
        "ingest",
        raw("GET /v1/jobs HTTP/1.1\nHost: a\nConnection: close\nAuthorization : Bearer {read}\n\n"),
        400,
    ),
    Attempt("old-http", "HTTP/0.9", "ingest", raw("GET /v1/jobs\n\n"), 401, "unauthorised"),
    Attempt("no-http", "no HTTP at all: Redis's protocol", "ingest", raw("*1\n$8\nFLUSHALL\n"), 400),
    Attempt(
        "websocket",
        "an upgrade to a web socket",
        "ingest",
        raw(
            "GET /v1/jobs HTTP/1.1\nHost: a"
            "\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
        ),
        403,
    ),
]
