"""SQL and code in every text, and addresses to be sent to."""

from typing import Final

from tests.break_in.attempt import DROP, Attempt, post, raw, request, sync_of, tables_stand, to_base64

SQL: Final = [
    Attempt(
        "sql-job",
        "SQL as a job's id",
        "ingest",
        request("/v1/jobs/x'%20OR%20'1'='1", key="read"),
        404,
        "job-not-found",
        holds=tables_stand,
    ),
    Attempt(
        "sql-kind",
        "SQL as a kind of job",
        "ingest",
        request("/v1/jobs?kind=sync'%20UNION%20SELECT%201--", key="read"),
        422,
        "invalid-request",
    ),
    Attempt(
        "sql-cursor",
        "SQL in a cursor",
        "ingest",
        request(f"/v1/jobs?cursor={to_base64('2026-11-24T00:00:00+00:00|' + DROP)}%3D%3D", key="read"),
        200,
        holds=tables_stand,
        said="an empty page",
    ),
    Attempt(
        "sql-source",
        "SQL as a source",
        "ingest",
        post("/v1/syncs", {"source": DROP}),
        422,
        "unknown-source",
        holds=tables_stand,
    ),
    Attempt(
        "sql-idempotency",
        "SQL as an idempotency key",
        "transform",
        post("/v1/builds", {}, headers=(f"Idempotency-Key: {DROP}",)),
        202,
        holds=tables_stand,
        said="a value, bound",
    ),
    Attempt(
        "sql-accounts",
        "SQL as an account's id",
        "scoring",
        post("/v1/scorings", {"scope": {"account_ids": [DROP]}}),
        202,
        holds=tables_stand,
        said="a value, bound",
    ),
    Attempt(
        "sql-node",
        "SQL as a node of a build",
        "transform",
        request("/v1/builds/x/nodes/y';DROP%20TABLE%20jobs;--/rows", key="admin"),
        404,
        "build-not-found",
        holds=tables_stand,
    ),
    Attempt(
        "sql-tier",
        "SQL as a tier of leads",
        "scoring",
        request("/v1/leads?tier=A'%20OR%201=1--", key="read"),
        422,
        "invalid-request",
    ),
    Attempt(
        "sql-lead",
        "SQL as a lead's id",
        "scoring",
        request("/v1/leads/x'%20OR%201=1--", key="read"),
        404,
        "lead-not-found",
        holds=tables_stand,
    ),
    Attempt(
        "sql-select",
        "SQL in a build's selection",
        "transform",
        post("/v1/builds", {"select": "x; drop table jobs"}),
        422,
        "invalid-request",
    ),
    Attempt(
        "jinja-select",
        "Jinja in a build's selection",
        "transform",
        post("/v1/builds", {"select": "{{ run_query('drop') }}"}),
        422,
        "invalid-request",
    ),
    Attempt(
        "option-select",
        "an option of dbt in a build's selection",
        "transform",
        post("/v1/builds", {"select": "--project-dir /tmp/evil"}),
        422,
        "invalid-request",
    ),
    Attempt(
        "mapping-table",
        "a field that no request has",
        "ingest",
        post("/v1/syncs", {"source": "mock", "table": DROP}),
        422,
        "invalid-request",
    ),
]


OUTBOUND: Final = [
    Attempt(
        "ssrf-option",
        "a sync of HubSpot at http://169.254.169.254",
        "ingest",
        post("/v1/syncs", {"source": "hubspot", "options": {"url": "http://169.254.169.254/latest"}}),
        422,
        "invalid-options",
        said="no request names an address",
    ),
    Attempt(
        "ssrf-folder",
        "a folder that is a URL",
        "ingest",
        post("/v1/syncs", sync_of(path="http://169.254.169.254/")),
        422,
        "path-missing",
    ),
    Attempt(
        "ssrf-model",
        "a scoring by a model of one's own",
        "scoring",
        post("/v1/scorings", {"ollama_host": "http://evil.example"}),
        422,
        "invalid-request",
    ),
    Attempt(
        "ssrf-proxy",
        "the API as a proxy (absolute address)",
        "ingest",
        raw(
            "GET http://169.254.169.254/latest/meta-data HTTP/1.1\nHost: 169.254.169.254\nConnection: close\n"
            "Authorization: Bearer {read}\n\n"
        ),
        404,
        "route-not-found",
        said="of its own",
    ),
    Attempt(
        "connect",
        "CONNECT to Redis",
        "ingest",
        raw(
            "CONNECT 127.0.0.1:6379 HTTP/1.1\nHost: 127.0.0.1:6379\nConnection: close\nAuthorization: Bearer {both}\n\n"
        ),
        400,
    ),
]
