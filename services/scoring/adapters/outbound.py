"""Reads leads for the API: pages of the current rows, and one lead with its history. Works before the first scoring."""

import base64
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict

from services.scoring.adapters.outbound_tables import lead_score_history, lead_scores, present_columns
from shared.errors import InvalidRequest, NotFound
from shared.warehouse import Warehouse
from shared.warehouse.tables import refuse_if_hidden

_JSON_COLUMNS = ("reasons", "factors", "claims", "changed")
_DETAILS = ("factors", "llm_answer", "pitch_template")  # long: only one lead's answer has them

# The warehouse keeps UTC without saying so; over REST a time has its offset (RFC 3339).
Moment = Annotated[datetime, AfterValidator(lambda moment: moment.replace(tzinfo=UTC))]


class LeadReason(BaseModel):
    """A factor. `points` are signed; `max_points` is null for the model's own adjustment."""

    factor: str
    component: str
    points: float
    max_points: float | None
    value: str | None
    explanation: str


class LeadClaim(BaseModel):
    """A field and which way it speaks, as the model claimed and the data bears out."""

    field: str
    polarity: str


class Lead(BaseModel):
    """One row of `lead_scores`; times are UTC. What each column means: `outbound_tables.py`."""

    account_id: str
    account_name: str
    domain: str | None
    lead_score: int
    baseline_score: int
    fit_score: int
    engagement_score: int
    llm_score: int | None
    tier: str
    is_active: bool
    inactive_reason: str | None
    reasons: list[LeadReason]
    claims: list[LeadClaim]
    pitch: str
    next_action: str
    proposed_action: str | None
    score_source: str
    pitch_source: str
    profile_hash: str
    input_key: str
    prompt_version: str
    rules_version: str
    weights_version: str | None
    score_bound: int | None
    model_name: str
    model_digest: str
    temperature: float
    seed: int
    dbt_run_id: str
    mart_updated_at: Moment
    job_id: str
    prompt_tokens: int
    completion_tokens: int
    llm_duration_ms: int
    attempts: int
    scored_at: Moment
    facts_hash: str | None
    refresh_job_id: str | None
    refreshed_at: Moment | None


class ChangeReason(BaseModel):
    """Why a lead changed. `kind`: first, factor, clamp, baseline, llm, prompt, model, rules, weights, bound, tier,
    name, activity, facts or answer. The `points` of one change add up to the change of its lead score."""

    model_config = ConfigDict(extra="allow")

    kind: str
    points: float | None = None
    explanation: str = ""


class LeadChange(BaseModel):
    """One row of `lead_score_history`. `changed`: column -> [before, after]; `reasons` null: an older release's row."""

    job_id: str
    lead_score: int
    previous_lead_score: int | None
    baseline_score: int
    llm_score: int | None
    tier: str
    changed: dict[str, list[Any]]
    reasons: list[ChangeReason] | None
    score_source: str
    pitch_source: str
    input_key: str
    dbt_run_id: str
    scored_at: Moment


class LeadDetail(Lead):
    """A lead with every factor of its baseline, the model's answer as it was written (untrusted: show it to people,
    never to programs), its pitch with slots, and its history, newest first. `factors` null: an older release's row."""

    factors: list[LeadReason] | None
    llm_answer: str | None
    pitch_template: str | None
    history: list[LeadChange]


class LeadPage(BaseModel):
    """`next_cursor` null: this was the last page."""

    items: list[Lead]
    next_cursor: str | None = None


def read_leads(
    warehouse: Warehouse,
    *,
    limit: int,
    cursor: str | None = None,
    tier: str | None = None,
    min_score: int | None = None,
    include_inactive: bool = False,
) -> LeadPage:
    """Best score first, then by account_id. The cursor names the last row seen, so new rows shift no page.

    Leads whose account is no active prospect any more are left out unless `include_inactive`.

    Raises:
        InvalidRequest: `cursor-invalid`.
        TerminalError: `warehouse-object-missing`: on Snowflake the table is not there, or the role may not read it.
    """
    statement = sa.select().order_by(lead_scores.c.lead_score.desc(), lead_scores.c.account_id)
    if tier is not None:
        statement = statement.where(lead_scores.c.tier == tier)
    if min_score is not None:
        statement = statement.where(lead_scores.c.lead_score >= min_score)
    if cursor is not None:
        score, account_id = _parse_cursor(cursor)
        same_score = sa.and_(lead_scores.c.lead_score == score, lead_scores.c.account_id > account_id)
        statement = statement.where(sa.or_(lead_scores.c.lead_score < score, same_score))
    with warehouse.outbound() as connection:
        columns = [column for column in present_columns(connection, lead_scores) if column.name not in _DETAILS]
        if not columns:
            refuse_if_hidden(connection, lead_scores.fullname)
            return LeadPage(items=[])
        if not include_inactive and any(column is lead_scores.c.is_active for column in columns):
            statement = statement.where(lead_scores.c.is_active)
        rows = connection.execute(statement.add_columns(*columns).limit(limit + 1)).mappings().all()
    page = [Lead.model_validate(_parse_json(row)) for row in rows[:limit]]
    return LeadPage(items=page, next_cursor=_to_cursor(page[-1]) if len(rows) > limit else None)


def read_lead(warehouse: Warehouse, account_id: str) -> LeadDetail:
    """The lead with `history`, newest first.

    Raises:
        NotFound: `lead-not-found`.
    """
    with warehouse.outbound() as connection:
        columns = present_columns(connection, lead_scores)
        if not columns:
            refuse_if_hidden(connection, lead_scores.fullname)
        lead = sa.select(*columns).where(lead_scores.c.account_id == account_id)
        row = connection.execute(lead).mappings().first() if columns else None
        if row is None:
            raise NotFound(
                f"No lead for account {account_id}. Check the id (GET /v1/leads lists them), or score it: "
                'POST /v1/scorings with {"scope": {"account_ids": [...]}}.',
                code="lead-not-found",
                title="There is no such lead",
            )
        history = (
            sa.select(*present_columns(connection, lead_score_history))
            .where(lead_score_history.c.account_id == account_id)
            .order_by(lead_score_history.c.scored_at.desc(), lead_score_history.c.job_id)
        )
        changes = connection.execute(history).mappings().all()
    return LeadDetail.model_validate({**_parse_json(row), "history": [_parse_json(change) for change in changes]})


def _parse_json(row: sa.RowMapping) -> dict[str, Any]:
    return {name: json.loads(value) if value and name in _JSON_COLUMNS else value for name, value in row.items()}


def _to_cursor(lead: Lead) -> str:
    return base64.urlsafe_b64encode(json.dumps([lead.lead_score, lead.account_id]).encode()).decode()


def _parse_cursor(cursor: str) -> tuple[int, str]:
    try:
        score, account_id = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if type(score) is int and 0 <= score <= 100 and isinstance(account_id, str) and account_id.encode():
            return score, account_id
    except (ValueError, TypeError, RecursionError):
        pass  # told apart from nothing: whatever it was, it is no cursor of ours
    raise InvalidRequest("cursor: pass on the next_cursor of the page before, unchanged.", code="cursor-invalid")
