"""REST of the scoring service: starts scorings, takes webhooks, shows leads."""

from fastapi import Depends, Request, Response

from services.scoring.api import leads, webhooks
from shared.contracts import JobKind, ScoringRequest
from shared.http import IdempotencyKeyHeader, create_app, start_job, start_responses
from shared.http.access import require_caller
from shared.jobs.view import JobView

app = create_app("scoring", "Scores active prospects, writes their pitch, and serves the leads.")


@app.post(
    "/v1/scorings",
    status_code=202,
    operation_id="startScoring",
    summary="Score active prospects",
    tags=["scorings"],
    responses=start_responses(),
    dependencies=[Depends(require_caller)],
)
def start_scoring(
    body: ScoringRequest, request: Request, response: Response, idempotency_key: IdempotencyKeyHeader = None
) -> JobView:
    return start_job(request, response, JobKind.SCORING, body, idempotency_key)


app.include_router(webhooks.router)
app.include_router(leads.router)
