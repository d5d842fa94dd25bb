"""Bodies and headers that are too large, too deep, or that write what is not theirs."""

from typing import Final

from tests.break_in.attempt import Attempt, no_header, no_line_forged, no_such, post, request

BODIES: Final = [
    Attempt(
        "large",
        "a body of 2 MB",
        "ingest",
        post("/v1/syncs", b'{"source": "' + b"a" * 2_000_000 + b'"}'),
        (413,),
        "413 body-too-large",
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
        (413,),
        "413",
    ),
    Attempt(
        "large-lie",
        "a length of 10 GB announced, nothing sent",
        "ingest",
        request(
            "/v1/syncs", "POST", key="both", headers=("Content-Length: 10000000000", "Content-Type: application/json")
        ),
        (0, 400, 408, 413),
        "413, or no answer until the sender goes on",
    ),
    Attempt(
        "deep",
        "JSON 100,000 lists deep",
        "ingest",
        post("/v1/syncs", b"[" * 100_000 + b"]" * 100_000),
        (400, 422),
        "422",
    ),
    Attempt(
        "deep-options",
        "options 10,000 objects deep",
        "ingest",
        post("/v1/syncs", b'{"source":"mock","options":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001),
        (400, 422),
        "422",
    ),
    Attempt(
        "huge-number",
        "a number of 100,000 digits",
        "scoring",
        post("/v1/scorings", b'{"limit":' + b"9" * 100_000 + b"}"),
        (400, 422),
        "422",
    ),
    Attempt(
        "not-a-number",
        "NaN and Infinity",
        "ingest",
        post("/v1/syncs", b'{"source":"mock","options":{"accounts":NaN,"dirt":Infinity}}'),
        (400, 422),
        "422",
    ),
    Attempt(
        "nul", "a NUL in a text", "scoring", post("/v1/scorings", {"scope": {"account_ids": ["a\0b"]}}), (422,), "422"
    ),
    Attempt(
        "half-a-character",
        "half of a surrogate pair",
        "scoring",
        post("/v1/scorings", b'{"scope":{"account_ids":["\\ud800"]}}'),
        (422,),
        "422",
    ),
    Attempt(
        "not-utf8", "bytes that are no UTF-8", "ingest", post("/v1/syncs", b'{"source":"\xff\xfe"}'), (400, 422), "422"
    ),
    Attempt(
        "xml",
        "XML where JSON is wanted",
        "ingest",
        request("/v1/syncs", "POST", key="both", headers=("Content-Type: application/xml",), body=b"<x/>"),
        (415, 422),
        "415",
    ),
    Attempt(
        "packed",
        "a body said to be gzip",
        "ingest",
        request("/v1/syncs", "POST", key="both", headers=("Content-Encoding: gzip",), body=b"\x1f\x8b" + b"\0" * 100),
        (400, 415, 422),
        "422: nothing is unpacked",
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
        (415, 422),
        "415",
    ),
]


HEADERS: Final = [
    Attempt(
        "split-path",
        "a line end in the path",
        "ingest",
        request("/v1/jobs/x%0d%0aSet-Cookie:%20a=b", key="read"),
        (404,),
        "404",
        None,
        no_header("set-cookie"),
    ),
    Attempt(
        "split-key",
        "a line end in the idempotency key",
        "transform",
        post("/v1/builds", {}, headers=("Idempotency-Key: a\rSet-Cookie: a=b",)),
        (400, 422),
        "400",
        None,
        no_header("set-cookie"),
    ),
    Attempt(
        "split-id",
        "a line end in the request id",
        "ingest",
        request("/v1/jobs", key="read", headers=("X-Request-ID: a%0d%0aSet-Cookie:a=b",)),
        (200,),
        "200 with an id of its own",
        None,
        no_header("set-cookie"),
    ),
    Attempt(
        "host-in-location",
        "another host's name, for the answer's Location",
        "transform",
        post("/v1/builds", {}, headers=("Host: evil.example", "X-Forwarded-Host: evil.example")),
        (202, 403),
        "202; Location is a path",
        None,
        no_such("evil.example"),
    ),
    Attempt(
        "slash-redirect",
        "a path with a slash too many, by another host's name",
        "ingest",
        request("/v1/jobs/", key="read", headers=("Host: evil.example",)),
        (404, 405),
        "404: no redirect",
        None,
        no_header("location"),
    ),
    Attempt(
        "double-slash",
        "//evil.example, for a redirect there",
        "ingest",
        request("//evil.example/%2f..", key="read"),
        (400, 404),
        "404",
        None,
        no_header("location"),
    ),
    Attempt(
        "trace",
        "TRACE, to see headers that a proxy adds",
        "ingest",
        request("/v1/jobs", "TRACE", key="read"),
        (400, 404, 405),
        "405",
        None,
        no_such("gtm_"),
    ),
    Attempt(
        "many-headers",
        "5,000 headers",
        "ingest",
        request("/healthz", headers=tuple(f"X-{number}: {'a' * 20}" for number in range(5000))),
        (400, 431),
        "431",
    ),
    Attempt(
        "long-path", "a path of 60 KB", "ingest", request("/v1/" + "a" * 60_000, key="read"), (400, 404, 414), "414"
    ),
    Attempt(
        "log-path",
        "a line for the log, in the path",
        "ingest",
        request('/v1/%0a%7B"event":%20"forged"%7D', key="read"),
        (404,),
        "404; the log has no such line",
        None,
        no_line_forged,
    ),
    Attempt(
        "log-id",
        "a terminal's escapes in the request id",
        "ingest",
        request("/v1/jobs", headers=("X-Request-ID: \x1b[2J\x1b]0;x",)),
        (400, 401),
        "401; the log has none",
        None,
        no_line_forged,
    ),
    Attempt(
        "log-source",
        "line end and escapes in a field",
        "ingest",
        post("/v1/syncs", {"source": '\n{"event": "forged"}\x1b[2J'}),
        (422,),
        "422; the log has no such line",
        None,
        no_line_forged,
    ),
]
