"""REST of the scoring service: starts scorings, takes webhooks, shows leads."""

from services.scoring.api import leads, webhooks
from shared.contracts import JobKind, ScoringRequest
from shared.http import add_start, create_app

app = create_app("scoring", "Scores active prospects, writes their pitch, and serves the leads.")

add_start(
    app,
    "/v1/scorings",
    JobKind.SCORING,
    ScoringRequest,
    operation_id="startScoring",
    summary="Score active prospects",
)
app.include_router(webhooks.router)
app.include_router(leads.router)
