"""Webhooks: verified on the raw body, stored, acknowledged; the work comes later."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, SecretStr

from services.scoring.adapters.events import Receipt, receive_events
from services.scoring.domain.hubspot_events import HubSpotCall, read_hubspot_events, verify_hubspot
from services.scoring.domain.salesforce_messages import (
    ACKNOWLEDGED,
    read_outbound_message,
    require_salesforce_settings,
    verify_token,
)
from services.scoring.domain.standard_webhooks import verify_standard_webhook
from services.scoring.domain.webhooks import WebhookEvent
from services.scoring.settings import WebhookSettings, scoring_settings, webhook_settings
from shared.access.callers import Caller
from shared.errors import NotFound
from shared.http.access import caller_address, require
from shared.http.problems import problem_responses
from shared.settings import operations_settings

router = APIRouter(tags=["webhooks"])


class WebhookReceipt(BaseModel):
    """`accepted`: `job_id` will rescore the account, or read the records, build and rescore; where it is under way
    already, its successor will. `duplicate`: known event. `ignored`: nothing follows, and `ignored_for` says why:
    `unknown-type`, `unknown-source`, `unknown-object`."""

    outcome: Literal["accepted", "duplicate", "ignored"]
    job_id: str | None
    ignored_for: str | None = None


class WebhookCounts(BaseModel):
    """Events of a call by what became of them, as `WebhookReceipt` has it; `ignored_for` counts reasons, `unreadable`
    among them. `job_id` is the pipeline that reads the records."""

    accepted: int
    duplicates: int
    ignored: int
    ignored_for: dict[str, int]
    job_id: str | None


def _headers(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in names]


_GENERIC_FIELDS: dict[str, Any] = {
    **{name: {"type": "string"} for name in ("type", "account_id", "source", "object")},
    "record_ids": {"type": "array", "items": {"type": "string"}, "maxItems": 1000},
}
_OF_ACCOUNT = {"type": "account.changed", "account_id": "hubspot:123"}
_OF_RECORDS = {"type": "record.changed", "source": "hubspot", "object": "companies", "record_ids": ["123"]}
_OF_HUBSPOT = {
    "eventId": 1,
    "subscriptionId": 12345,
    "portalId": 62515,
    "occurredAt": 1564113600000,
    "subscriptionType": "company.propertyChange",
    "objectId": 123,
    "propertyName": "fleet_size",
    "propertyValue": "40",
}
_GENERIC_OPENAPI = {
    "security": [{"standardWebhook": []}],
    "parameters": _headers("webhook-id", "webhook-timestamp", "webhook-signature"),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["type"], "properties": _GENERIC_FIELDS},
                "examples": {"account": {"value": _OF_ACCOUNT}, "records": {"value": _OF_RECORDS}},
            }
        },
    },
}
_HUBSPOT_OPENAPI = {
    "security": [{"hubspotSignature": []}],
    "parameters": _headers("X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": 100},
                "examples": {"change": {"value": [_OF_HUBSPOT]}},
            }
        },
    },
}
_SALESFORCE_OPENAPI = {
    "security": [{"salesforceToken": []}],
    "parameters": [{"name": "token", "in": "query", "required": True, "schema": {"type": "string"}}],
    "requestBody": {"required": True, "content": {"text/xml": {"schema": {"type": "string"}}}},
}


@router.post(
    "/v1/webhooks/generic",
    status_code=202,
    operation_id="receiveWebhook",
    summary="A signed event: rescore one account, or read records of a CRM again",
    description="Standard Webhooks 1.0: headers webhook-id, webhook-timestamp (+-5 min), webhook-signature. "
    'Body: {"type": "account.changed", "account_id": "..."} or {"type": "record.changed", "source": "hubspot", '
    '"object": "companies", "record_ids": ["..."]}. Repeats of an id change nothing. '
    "With GTM_WEBHOOK_REQUIRE_KEY also `Authorization: Bearer` with a key of the scope `webhook`.",
    responses=problem_responses(401, 403, 404, 413, 422, 429, 503),
    openapi_extra=_GENERIC_OPENAPI,
)
async def receive_webhook(request: Request) -> WebhookReceipt:
    (secret,) = _require_set("secret")
    if webhook_settings().require_key:
        await require(request, "webhook")
    event = verify_standard_webhook(secret, request.headers, await request.body())
    receipt = await run_in_threadpool(_receive, request, "generic", [event])
    job_id = receipt.jobs[0].id if receipt.jobs else None
    return WebhookReceipt(outcome=receipt.outcomes[0], job_id=job_id, ignored_for=event.ignored_for)


@router.post(
    "/v1/webhooks/hubspot",
    status_code=202,
    operation_id="receiveHubSpotEvents",
    summary="Events of a HubSpot app: read the companies, contacts and deals that they name again",
    description="Signed as X-HubSpot-Signature-v3 over the method, the public URL, the body and the time (+-5 min); "
    "versions 1 and 2 only where GTM_HUBSPOT_WEBHOOK_SIGNATURES accepts them. Up to 100 events; each is taken once.",
    responses=problem_responses(401, 404, 413, 422, 429, 503),
    openapi_extra=_HUBSPOT_OPENAPI,
)
async def receive_hubspot_events(request: Request) -> WebhookCounts:
    secret, public_url = _require_set("hubspot_secret", "public_url")
    body = await request.body()
    call = HubSpotCall(request.method, _to_public(public_url, request), request.headers, body)
    verify_hubspot(call, secret, webhook_settings().hubspot_signatures, datetime.now(UTC))
    events = read_hubspot_events(body)
    receipt = await run_in_threadpool(_receive, request, "hubspot", events)
    counts, reasons = receipt.counts, Counter(event.ignored_for for event in events if event.ignored_for is not None)
    return WebhookCounts(
        accepted=counts["accepted"],
        duplicates=counts["duplicate"],
        ignored=counts["ignored"],
        ignored_for=dict(reasons),
        job_id=receipt.jobs[0].id if receipt.jobs else None,
    )


@router.post(
    "/v1/webhooks/salesforce",
    operation_id="receiveSalesforceMessage",
    summary="An outbound message of Salesforce: read the records that it names again",
    description="SOAP, up to 100 notifications; each is taken once. Salesforce signs nothing: the endpoint URL ends in "
    "`?token=` and GTM_SALESFORCE_WEBHOOK_TOKEN, and the message's OrganizationId is GTM_SALESFORCE_ORGANIZATION_ID.",
    responses={
        200: {"description": "Acknowledged", "content": {"text/xml": {"schema": {"type": "string"}}}},
        **problem_responses(401, 404, 413, 422, 429, 503),
    },
    response_class=Response,
    openapi_extra=_SALESFORCE_OPENAPI,
)
async def receive_salesforce_message(request: Request) -> Response:
    token, organization_id = _require_set("salesforce_token", "salesforce_organization_id")
    require_salesforce_settings(token, organization_id)
    verify_token(request.query_params.getlist("token"), token)
    events = read_outbound_message(await request.body(), organization_id)
    await run_in_threadpool(_receive, request, "salesforce", events)
    return Response(ACKNOWLEDGED, media_type="text/xml")


def _require_set(*names: str) -> tuple[str, ...]:
    """Values of settings without which a door is closed: without a secret there is no such door."""
    settings = webhook_settings()
    values = [getattr(settings, name) for name in names]
    if missing := [WebhookSettings.variable(name) for name, value in zip(names, values, strict=True) if not value]:
        are = "is" if len(missing) == 1 else "are"
        raise NotFound(
            f"This service takes no such webhooks: {' and '.join(missing)} {are} not set.",
            code="webhooks-disabled",
            title="Webhooks are not configured",
        )
    return tuple(value.get_secret_value() if isinstance(value, SecretStr) else value for value in values)


def _to_public(public_url: str, request: Request) -> str:
    """The URL that the sender was told: what a proxy makes of it on the way here is none of the sender's business."""
    path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
    return f"{public_url.rstrip('/')}{path}{'?' if query else ''}{query}"


def _receive(request: Request, sender: str, events: Sequence[WebhookEvent]) -> Receipt:
    delay, limit = scoring_settings().refresh_delay_seconds, operations_settings().event_limit
    actor = getattr(request.state, "caller", None) or Caller("webhook", address=caller_address(request))
    receipt = receive_events(request.app.state.database, sender, events, delay_seconds=delay, limit=limit, actor=actor)
    request.app.state.dispatcher.dispatch(receipt.tickets)
    return receipt
