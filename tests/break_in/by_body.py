"""Bodies and headers that are too large, too deep, or that write what is not theirs."""

from typing import Final

from tests.break_in.attempt import Attempt, no_header, no_line_forged, no_such, post, request

BODIES: Final = [
    Attempt(
        "large",
        "a body of 2 MB",
        "ingest",
        post("/v1/syncs", b'{"source": "' + b"a" * 2_000_000 + b'"}'),
        413,
        "body-too-large",
    ),
    Attempt(
        "large-unannounced",
        "the same in chunks, its length not announced",
        "ingest",
        lambda target: request(
            "/v1/syncs", "POST", key="both", headers=("Transfer-Encoding: chunked", "Content-Type: application/json")
        )(target)
        + b"%x\r\n" % 2_000_000
        + b"a" * 2_000_000
        + b"\r\n0\r\n\r\n",
        413,
        "body-too-large",
    ),
    Attempt(
        "large-lie",
        "a length of 10 GB announced, nothing sent",
        "ingest",
        request(
            "/v1/syncs", "POST", key="both", headers=("Content-Length: 10000000000", "Content-Type: application/json")
        ),
        0,
        said="the sender is to go on",
    ),
    Attempt(
        "deep",
        "JSON 100,000 lists deep",
        "ingest",
        post("/v1/syncs", b"[" * 100_000 + b"]" * 100_000),
        400,
        "body-unreadable",
    ),
    Attempt(
        "deep-options",
        "options 10,000 objects deep",
        "ingest",
        post("/v1/syncs", b'{"source":"mock","options":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001),
        400,
        "body-unreadable",
    ),
    Attempt(
        "huge-number",
        "a number of 100,000 digits",
        "scoring",
        post("/v1/scorings", b'{"limit":' + b"9" * 100_000 + b"}"),
        400,
        "body-unreadable",
    ),
    Attempt(
        "not-a-number",
        "NaN and Infinity",
        "ingest",
        post("/v1/syncs", b'{"source":"mock","options":{"accounts":NaN,"dirt":Infinity}}'),
        422,
        "invalid-request",
    ),
    Attempt(
        "nul",
        "a NUL in a text",
        "scoring",
        post("/v1/scorings", {"scope": {"account_ids": ["a\0b"]}}),
        422,
        "invalid-request",
    ),
    Attempt(
        "half-a-character",
        "half of a surrogate pair",
        "scoring",
        post("/v1/scorings", b'{"scope":{"account_ids":["\\ud800"]}}'),
        422,
        "invalid-request",
    ),
    Attempt(
        "not-utf8",
        "bytes that are no UTF-8",
        "ingest",
        post("/v1/syncs", b'{"source":"\xff\xfe"}'),
        400,
        "body-unreadable",
    ),
    Attempt(
        "xml",
        "XML where JSON is wanted",
        "ingest",
        request("/v1/syncs", "POST", key="both", headers=("Content-Type: application/xml",), body=b"<x/>"),
        415,
        "media-type-not-supported",
    ),
    Attempt(
        "packed",
        "a body said to be gzip",
        "ingest",
        request("/v1/syncs", "POST", key="both", headers=("Content-Encoding: gzip",), body=b"\x1f\x8b" + b"\0" * 100),
        400,
        "body-unreadable",
        said="nothing is unpacked",
    ),
    Attempt(
        "pickle",
        "a pickle",
        "ingest",
        request(
            "/v1/syncs",
            "POST",
            key="both",
            headers=("Content-Type: application/python-pickle",),
            body=b"cos\nsystem\n(S'id'\ntR.",
        ),
        415,
        "media-type-not-supported",
    ),
]


HEADERS: Final = [
    Attempt(
        "split-path",
        "a line end in the path",
        "ingest",
        request("/v1/jobs/x%0d%0aSet-Cookie:%20a=b", key="read"),
        404,
        "job-not-found",
        holds=no_header("set-cookie"),
    ),
    Attempt(
        "split-key",
        "a line end in the idempotency key",
        "transform",
        post("/v1/builds", {}, headers=("Idempotency-Key: a\rSet-Cookie: a=b",)),
        400,
        holds=no_header("set-cookie"),
    ),
    Attempt(
        "split-id",
        "a line end in the request id",
        "ingest",
        request("/v1/jobs", key="read", headers=("X-Request-ID: a%0d%0aSet-Cookie:a=b",)),
        200,
        holds=no_header("set-cookie"),
        said="an id of its own",
    ),
    Attempt(
        "host-in-location",
        "another host's name, for the answer's Location",
        "transform",
        post("/v1/builds", {}, headers=("Host: evil.example", "X-Forwarded-Host: evil.example")),
        202,
        holds=no_such("evil.example"),
        said="Location is a path",
    ),
    Attempt(
        "slash-redirect",
        "a path with a slash too many, by another host's name",
        "ingest",
        request("/v1/jobs/", key="read", headers=("Host: evil.example",)),
        404,
        "route-not-found",
        holds=no_header("location"),
        said="no redirect",
    ),
    Attempt(
        "double-slash",
        "//evil.example, for a redirect there",
        "ingest",
        request("//evil.example/%2f..", key="read"),
        404,
        "route-not-found",
        holds=no_header("location"),
    ),
    Attempt(
        "trace",
        "TRACE, to see headers that a proxy adds",
        "ingest",
        request("/v1/jobs", "TRACE", key="read"),
        405,
        "method-not-allowed",
        holds=no_such("gtm_"),
    ),
    Attempt(
        "many-headers",
        "5,000 headers",
        "ingest",
        request("/healthz", headers=tuple(f"X-{number}: {'a' * 20}" for number in range(5000))),
        431,
        "headers-too-large",
    ),
    Attempt(
        "long-path", "a path of 60 KB", "ingest", request("/v1/" + "a" * 60_000, key="read"), 414, "address-too-long"
    ),
    Attempt(
        "log-path",
        "a line for the log, in the path",
        "ingest",
        request('/v1/%0a%7B"event":%20"forged"%7D', key="read"),
        404,
        "route-not-found",
        holds=no_line_forged,
        said="the log has no such line",
    ),
    Attempt(
        "log-id",
        "a terminal's escapes in the request id",
        "ingest",
        request("/v1/jobs", headers=("X-Request-ID: \x1b[2J\x1b]0;x",)),
        400,
        holds=no_line_forged,
        said="the log has none",
    ),
    Attempt(
        "log-source",
        "line end and escapes in a field",
        "ingest",
        post("/v1/syncs", {"source": '\n{"event": "forged"}\x1b[2J'}),
        422,
        "unknown-source",
        holds=no_line_forged,
        said="the log has no such line",
    ),
]
