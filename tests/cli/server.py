"""The three services' REST contract on a loopback port, with jobs that go one step further with every look."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

PIPELINE_PARTS = ("sync", "build", "scoring")
RESULTS: dict[str, dict[str, Any]] = {
    "sync": {
        "seen": 25_700,
        "inserted": 25_000,
        "updated": 200,
        "unchanged": 300,
        "duplicates": 200,
        "rejected": 0,
        "changed": 25_200,
        "tables": {
            "hubspot_companies": {"seen": 700, "inserted": 500, "updated": 0, "unchanged": 0, "duplicates": 200},
            "hubspot_web_visits": {"seen": 25_000, "inserted": 24_500, "updated": 200, "unchanged": 300},
        },
    },
    "build": {
        "nodes": {"passed": 41, "warned": 1, "failed": 0, "skipped": 0},
        "warned_nodes": [{"node": "warns_about_age", "message": "hubspot is 80 hours old.", "failures": 1}],
        "quarantined": {"hubspot_companies": 13},
    },
    "scoring": {
        "candidates": 20,
        "unchanged": 4,
        "scored": 15,
        "refreshed": 1,
        "baseline_only": 1,
        "template_pitches": 9,
        "rejected_answers": 12,
        "llm_calls": 27,
    },
}
DBT_PROBLEM = {
    "type": "/problems/dbt-test-failed",
    "title": "A data test failed",
    "status": 500,
    "detail": "dim_accounts holds 3 rows with negative ARR. Mend them in the CRM, or correct the staging view.",
    "code": "dbt-test-failed",
    "node": "non_negative_dim_accounts_won_arr_usd",
    "failed_nodes": [{"node": "non_negative_dim_accounts_won_arr_usd", "message": "Got 3 results", "failures": 3}],
    "rows": [{"account_id": "hubspot:1", "won_arr_usd": "-5.00", "closed_at": None}, {"account_id": "hubspot:2"}],
}


def problem(status: int, code: str, detail: str, **extensions: Any) -> Response:
    """What every service answers instead of a result."""
    body = {"type": f"/problems/{code}", "title": code.replace("-", " ").capitalize()}
    body |= {"status": status, "detail": detail, "code": code, **extensions}  # type: ignore[dict-item]
    return JSONResponse(body, status, media_type="application/problem+json")


@dataclass
class Behaviour:
    """What a test sets before the call, and what it reads after it."""

    fails: str | None = None  # the kind of job that fails
    never_ends: bool = False
    unavailable_starts: int = 0  # so many 503 before a start is taken
    key: str | None = None
    sick: bool = False
    leads: list[dict[str, Any]] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 0
    cancels: list[str] = field(default_factory=list)


def _job(kind: str, request: Any, number: int) -> dict[str, Any]:
    job: dict[str, Any] = {
        "id": f"{kind}-{number}",
        "kind": kind,
        "state": "queued",
        "progress": {"phase": None, "done": 0, "total": None, "unit": "rows"},
        "result": None,
        "error": None,
        "request": request,
        "attempts": 0,
        "parent_id": None,
        "created_at": "2025-06-01T12:00:00Z",
        "started_at": None,
        "finished_at": None,
        "children": None,
    }
    if kind == "pipeline":
        job["children"] = [_job(part, {}, number) | {"parent_id": job["id"]} for part in PIPELINE_PARTS]
    return job


def _advance(job: dict[str, Any], behaviour: Behaviour) -> None:
    """queued -> running at half -> the end; a pipeline moves its first unfinished part."""
    if job["state"] in ("succeeded", "failed", "cancelled"):
        return
    if job["children"]:
        job["state"] = "running"
        part = next(child for child in job["children"] if child["state"] in ("queued", "running"))
        _advance(part, behaviour)
        if part["state"] in ("failed", "cancelled"):
            job |= {"state": part["state"], "error": part["error"]}
        elif all(child["state"] == "succeeded" for child in job["children"]):
            job |= {"state": "succeeded", "result": {}}
    elif job["state"] == "queued":
        progress = {"phase": f"{job['kind']} at work", "done": 50, "total": 100, "unit": "rows"}
        job |= {"state": "running", "attempts": 1, "started_at": "2025-06-01T12:00:01Z", "progress": progress}
    elif behaviour.fails == job["kind"]:
        job |= {"state": "failed", "error": DBT_PROBLEM, "finished_at": "2025-06-01T12:00:03Z"}
    elif not behaviour.never_ends:
        job |= {"state": "succeeded", "result": RESULTS[job["kind"]], "finished_at": "2025-06-01T12:00:03.500Z"}


def build_app(behaviour: Behaviour) -> FastAPI:
    """All three services at once: their paths don't overlap."""
    app = FastAPI()

    @app.middleware("http")
    async def check_key(request: Request, call_next: Any) -> Response:
        if behaviour.key and request.headers.get("authorization") != f"Bearer {behaviour.key}":
            return problem(401, "unauthorised", "This API wants a key.")
        answer: Response = await call_next(request)
        return answer

    def start(kind: str, body: dict[str, Any], request: Request) -> Response:
        behaviour.starts.append({"kind": kind, "body": body, "key": request.headers.get("idempotency-key")})
        if behaviour.unavailable_starts:
            behaviour.unavailable_starts -= 1
            return problem(503, "operations-unavailable", "The operations database does not answer.")
        source = body.get("source") or body.get("sync", {}).get("source")
        if source == "nope":
            errors = [{"field": "source", "message": "unknown source 'nope'; known: mock, files"}]
            return problem(422, "invalid-request", "The request is not valid.", errors=errors)
        job = _job(kind, body, len(behaviour.jobs) + 1)
        behaviour.jobs[job["id"]] = job
        return JSONResponse(job, 202, headers={"Location": f"/v1/jobs/{job['id']}", "Retry-After": "0"})

    for path, kind in (("syncs", "sync"), ("builds", "build"), ("scorings", "scoring"), ("pipelines", "pipeline")):

        def start_kind(body: dict[str, Any], request: Request, kind: str = kind) -> Response:
            return start(kind, body, request)

        app.post(f"/v1/{path}", response_model=None)(start_kind)
    _add_jobs(app, behaviour)
    _add_builds(app)
    _add_leads(app, behaviour)
    return app


def _add_jobs(app: FastAPI, behaviour: Behaviour) -> None:
    @app.get("/v1/jobs/{job_id}", response_model=None)
    def read_job(job_id: str) -> Response:
        behaviour.looks += 1
        job = behaviour.jobs.get(job_id)
        if job is None:
            return problem(404, "job-not-found", f"There is no job {job_id}.")
        _advance(job, behaviour)
        return JSONResponse(job, headers={"Retry-After": "0"})

    @app.get("/v1/jobs", response_model=None)
    def list_jobs(limit: int = 50, cursor: str = "0", kind: str | None = None, state: str | None = None) -> Any:
        jobs = [job for job in reversed(behaviour.jobs.values()) if (kind or job["kind"]) == job["kind"]]
        return _page([job for job in jobs if (state or job["state"]) == job["state"]], limit, cursor)

    @app.post("/v1/jobs/{job_id}/cancel", response_model=None)
    def cancel_job(job_id: str) -> Response:
        job = behaviour.jobs.get(job_id)
        if job is None:
            return problem(404, "job-not-found", f"There is no job {job_id}.")
        behaviour.cancels.append(job_id)
        if job["state"] == "queued":
            job["state"] = "cancelled"
        return JSONResponse(job, 202)

    @app.get("/readyz", response_model=None)
    def readyz() -> Response:
        checks = {"operations": {"ok": True, "detail": None}, "redis": {"ok": True, "detail": None}}
        if behaviour.sick:
            checks["redis"] = {"ok": False, "detail": "Redis does not answer at REDIS_URL."}
        status = "unavailable" if behaviour.sick else "ok"
        return JSONResponse({"status": status, "version": "9.8.7", "checks": checks}, 503 if behaviour.sick else 200)


NODES = [
    {"node": "stg_hubspot__deals", "kind": "model", "status": "passed", "seconds": 0.1, "rows_affected": 1234},
    {"node": "unique_dim_accounts_account_id", "kind": "test", "status": "passed", "seconds": 0.1},
    {
        "node": "warns_about_age",
        "kind": "test",
        "status": "warned",
        "seconds": 0.1,
        "failures": 1,
        "message": "hubspot is 80 hours old.",
        "rows_in": "analytics_failures.warns_about_age",
    },
]


def _add_builds(app: FastAPI) -> None:
    @app.get("/v1/builds/{build_id}/nodes", response_model=None)
    def list_nodes(build_id: str, request: Request, limit: int = 50, cursor: str = "0") -> Any:
        wanted = request.query_params.getlist("status")
        return _page([node for node in NODES if not wanted or node["status"] in wanted], limit, cursor)

    @app.get("/v1/builds/{build_id}/nodes/{node}/rows", response_model=None)
    def list_rows(build_id: str, node: str, limit: int, offset: int) -> Any:
        if node != "warns_about_age":
            return problem(410, "failed-rows-gone", f"Build build-9 has run {node} again since.")
        row = {"source": "hubspot", "age_hours": 80, "email": "ann@x.org", "note": None}
        found = {"node": node, "failures": 3_000, "kept": 1_000, "rows_in": "analytics_failures.warns_about_age"}
        return {**found, "items": [row], "next_offset": offset + limit if not offset else None}


def _add_leads(app: FastAPI, behaviour: Behaviour) -> None:
    @app.get("/v1/leads", response_model=None)
    def list_leads(limit: int = 50, cursor: str = "0", tier: str | None = None) -> Any:
        return _page([lead for lead in behaviour.leads if (tier or lead["tier"]) == lead["tier"]], limit, cursor)

    @app.get("/v1/leads/{account_id}", response_model=None)
    def read_lead(account_id: str) -> Any:
        for lead in behaviour.leads:
            if lead["account_id"] == account_id:
                entry = {"scored_at": "2025-06-01T12:00:00Z", "lead_score": 71, "tier": "B", "job_id": "scoring-1"}
                entry |= {"reasons": [{"kind": "factor", "explanation": "12 visits (+5)"}, {"kind": "answer"}]}
                return lead | {"history": [entry]}
        return problem(404, "lead-not-found", f"There is no lead {account_id}.")


def _page(items: list[dict[str, Any]], limit: int, cursor: str) -> dict[str, Any]:
    """At most two a page, so that every list has to follow the cursor."""
    first, size = int(cursor), min(limit, 2)
    following = first + size
    return {"items": items[first:following], "next_cursor": str(following) if following < len(items) else None}


class Server:
    """A real HTTP server on a free loopback port."""

    def __init__(self, app: FastAPI, port: int = 0) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline and self._thread.is_alive(), "the test server did not start"
            time.sleep(0.005)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
