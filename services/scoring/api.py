"""REST of the scoring service: starts scorings, takes webhooks, shows leads."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from services.scoring.adapters.events import receive_event
from services.scoring.adapters.outbound import LeadDetail, LeadPage, read_lead, read_leads
from services.scoring.domain.webhooks import WebhookEvent, verify_standard_webhook
from services.scoring.settings import scoring_settings
from shared.contracts import JobKind, ScoringRequest
from shared.errors import NotFound
from shared.http import IdempotencyKeyHeader, create_app, start_job, start_responses
from shared.http.access import require_caller
from shared.http.problems import problem_responses
from shared.jobs.view import JobView
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse

app = create_app("scoring", "Scores active prospects, writes their pitch, and serves the leads.")


_WEBHOOK_OPENAPI = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {
                        "type": {"type": "string"},
                        "account_id": {"type": "string"},
                        "source": {"type": "string"},
                        "object": {"type": "string"},
                        "record_ids": {"type": "array", "items": {"type": "string"}, "maxItems": 1000},
                    },
                },
                "examples": {
                    "account": {"value": {"type": "account.changed", "account_id": "hubspot:123"}},
                    "records": {
                        "value": {
                            "type": "record.changed",
                            "source": "hubspot",
                            "object": "companies",
                            "record_ids": ["123"],
                        }
                    },
                },
            }
        },
    },
}


class WebhookReceipt(BaseModel):
    """`accepted`: `job_id` will rescore the account, or read the records, build and rescore; where it is under way
    already, its successor will. `duplicate`: known event. `ignored`: nothing follows, and `ignored_for` says why:
    `unknown-type`, `unknown-source`, `unknown-object`."""

    outcome: Literal["accepted", "duplicate", "ignored"]
    job_id: str | None
    ignored_for: str | None = None


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


@app.post(
    "/v1/webhooks/generic",
    status_code=202,
    operation_id="receiveWebhook",
    summary="A signed event: rescore one account, or read records of a CRM again",
    description="Standard Webhooks 1.0: headers webhook-id, webhook-timestamp (+-5 min), webhook-signature. "
    'Body: {"type": "account.changed", "account_id": "..."} or {"type": "record.changed", "source": "hubspot", '
    '"object": "companies", "record_ids": ["..."]}. Repeats of an id change nothing.',
    tags=["webhooks"],
    responses=problem_responses(401, 404, 422, 503),
    openapi_extra=_WEBHOOK_OPENAPI,
)
async def receive_webhook(request: Request) -> WebhookReceipt:
    secret = scoring_settings().webhook_secret
    if secret is None:  # closed by default: without a secret there is no such door
        raise NotFound(
            "This service takes no webhooks: GTM_WEBHOOK_SECRET is not set.",
            code="webhooks-disabled",
            title="Webhooks are not configured",
        )
    event = verify_standard_webhook(secret.get_secret_value(), request.headers, await request.body())
    return await run_in_threadpool(_receive, request, event)


@app.get(
    "/v1/leads",
    operation_id="listLeads",
    summary="Leads, best first",
    tags=["leads"],
    responses=problem_responses(401, 422, 503),
    dependencies=[Depends(require_caller)],
)
def list_leads(
    tier: Annotated[str | None, Query(pattern="^[A-D]$")] = None,
    min_score: Annotated[int | None, Query(ge=0, le=100)] = None,
    include_inactive: Annotated[bool, Query(description="also leads that are no active prospects any more")] = False,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LeadPage:
    warehouse = open_warehouse(warehouse_settings())
    return read_leads(
        warehouse, limit=limit, cursor=cursor, tier=tier, min_score=min_score, include_inactive=include_inactive
    )


@app.get(
    "/v1/leads/{account_id}",
    operation_id="getLead",
    summary="One lead: score, every factor, claims, pitch, provenance, and its history with reasons",
    tags=["leads"],
    responses=problem_responses(401, 404, 503),
    dependencies=[Depends(require_caller)],
)
def get_lead(account_id: str) -> LeadDetail:
    return read_lead(open_warehouse(warehouse_settings()), account_id)


def _receive(request: Request, event: WebhookEvent) -> WebhookReceipt:
    delay = scoring_settings().refresh_delay_seconds
    receipt = receive_event(request.app.state.database, "generic", event, delay_seconds=delay)
    request.app.state.dispatcher.dispatch(receipt.tickets)
    job_id = receipt.job.id if receipt.job else None
    return WebhookReceipt(outcome=receipt.outcome, job_id=job_id, ignored_for=event.ignored_for)
