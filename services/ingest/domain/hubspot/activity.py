"""Owners, pipeline stages, page views, form submissions and marketing email as batches for RAW."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from services.ingest.domain.hubspot.rows import SHAPE_ERRORS, convert, to_extra, to_rows, to_text
from services.ingest.domain.sources import Reject, SourceBatch

OWNERS: Final = "hubspot_owners"
STAGES: Final = "hubspot_pipeline_stages"
VISITS: Final = "hubspot_web_visits"
SUBMISSIONS: Final = "hubspot_form_submissions"
EMAIL_EVENTS: Final = "hubspot_email_events"
CAMPAIGNS: Final = "hubspot_email_campaigns"

Row: TypeAlias = dict[str, str | None]
_UTM: Final = ("utm_source", "utm_medium", "utm_campaign")


def to_owner_batch(owners: Sequence[Mapping[str, Any]], *, is_deleted: bool) -> SourceBatch:
    """Owners; archived ones are users who have left."""
    names = {
        "id": "id",
        "email": "email",
        "first_name": "firstName",
        "last_name": "lastName",
        "user_id": "userId",
        "archived": "archived",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    }
    return _to_batch(OWNERS, owners, names, updated_at="updatedAt", is_scan=True, is_deleted=is_deleted)


def to_stage_batch(pipelines: Sequence[Mapping[str, Any]]) -> SourceBatch:
    """The stages of all deal pipelines. A deal stage's metadata says `isClosed` and `probability`, as text; won is what
    is closed with probability 1 (developers.hubspot.com/docs/api-reference/crm-pipelines-v3/guide).

    Raises:
        One of `SHAPE_ERRORS`: a stage is none. Nothing is rejected here: what a whole reading lacks counts as gone.
    """
    rows, stamps = [], []
    for pipeline in pipelines:
        for stage in pipeline.get("stages") or []:
            meta = stage.get("metadata") or {}
            rows.append(
                {
                    "id": to_text(stage.get("id")),
                    "pipeline_id": to_text(pipeline.get("id")),
                    "label": to_text(stage.get("label")),
                    "is_closed": to_text(meta.get("isClosed")),
                    "closed_won": _is_won(meta),
                    "probability": to_text(meta.get("probability")),
                    "display_order": to_text(stage.get("displayOrder")),
                }
            )
            stamps.append(to_text(stage.get("updatedAt")))
    return SourceBatch(STAGES, to_rows(STAGES, rows, key=["id"], updated_at=stamps), is_scan=True)


def to_visit_batch(events: Sequence[Any]) -> SourceBatch:
    """Page views. Campaign marks are the event's own properties, else those of the page's address."""

    def to_visit(event: Mapping[str, Any]) -> tuple[Row, str | None]:
        properties = event.get("properties") or {}
        marks = _marks(str(properties.get("hs_url") or ""))
        row = {
            "id": to_text(event.get("id")),
            "contact_id": to_text(event.get("objectId")),
            "visitor_id": to_text(properties.get("hs_visitor_id") or properties.get("hs_user_token")),
            "occurred_at": to_text(event.get("occurredAt")),
            "page_url": to_text(properties.get("hs_url")),
            "page_title": to_text(properties.get("hs_title") or properties.get("hs_page_title")),
            "referrer": to_text(properties.get("hs_referrer")),
        }
        utm = {name: to_text(properties.get(f"hs_{name}") or next(iter(marks.get(name, [])), None)) for name in _UTM}
        return row | utm, to_extra(properties)

    return _to_event_batch(VISITS, *convert("web_events", events, to_visit))


def to_submission_batch(
    form: Mapping[str, Any], submissions: Sequence[Any], contacts: Mapping[str, str]
) -> SourceBatch:
    """Submissions of one form. `contacts`: lower-case email -> contact, since a submission names nobody by id."""

    def to_submission(one: Mapping[str, Any]) -> tuple[Row, str | None]:
        email = submitted_email(one)
        row = {
            "id": to_text(one.get("conversionId")),
            "contact_id": contacts.get(email) if email else None,
            "form_id": to_text(form.get("id")),
            "form_name": to_text(form.get("name")),
            "page_url": to_text(one.get("pageUrl")),
            "submitted_at": to_text(one.get("submittedAt")),
        }
        return row, to_extra({str(entry.get("name")): entry.get("value") for entry in one.get("values") or []})

    return _to_event_batch(SUBMISSIONS, *convert("form_submissions", submissions, to_submission))


def submitted_email(submission: Any) -> str | None:
    """The address that the sender gave, lower case; None also where the submission has an odd shape."""
    try:
        values = {entry.get("name"): entry.get("value") for entry in submission.get("values") or []}
    except SHAPE_ERRORS:
        return None
    return str(values["email"]).strip().lower() if values.get("email") else None


def to_email_event_batch(events: Sequence[Mapping[str, Any]]) -> SourceBatch:
    """What happened to marketing emails."""
    names = {
        "id": "id",
        "event_type": "type",
        "recipient": "recipient",
        "email_campaign_id": "emailCampaignId",
        "is_filtered": "filteredEvent",
        "occurred_at": "created",
    }
    return _to_batch(EMAIL_EVENTS, events, names)


def to_campaign_batch(campaigns: Sequence[Mapping[str, Any]]) -> SourceBatch:
    """Email campaigns in full."""
    return _to_batch(CAMPAIGNS, campaigns, {name: name for name in ("id", "name", "subject", "type")})


def _to_batch(
    table: str,
    entries: Sequence[Any],
    names: Mapping[str, str],
    *,
    updated_at: str | None = None,
    is_scan: bool = False,
    is_deleted: bool = False,
) -> SourceBatch:
    def to_row(entry: Mapping[str, Any]) -> tuple[Row, str | None, str | None]:
        row = {column: to_text(entry.get(name)) for column, name in names.items()}
        stamp = None if updated_at is None else to_text(entry.get(updated_at))
        return row, to_extra({name: entry[name] for name in entry if name not in names.values()}), stamp

    converted, rejects = convert(table, entries, to_row)
    landed = to_rows(
        table,
        [row for row, _, _ in converted],
        key=["id"],
        updated_at=None if updated_at is None else [stamp for _, _, stamp in converted],
        extra=[extra for _, extra, _ in converted],
        is_deleted=is_deleted,
    )
    return SourceBatch(table, landed, rejects, is_scan=is_scan)


def _to_event_batch(
    table: str, converted: Sequence[tuple[Row, str | None]], rejects: tuple[Reject, ...]
) -> SourceBatch:
    rows = to_rows(table, [row for row, _ in converted], key=["id"], extra=[extra for _, extra in converted])
    return SourceBatch(table, rows, rejects)


def _marks(url: str) -> dict[str, list[str]]:
    """What the address says after its question mark. It comes from whoever opened the page, so it may be none."""
    try:
        return parse_qs(urlsplit(url).query)
    except ValueError:
        return {}


def _is_won(meta: Mapping[str, Any]) -> str | None:
    try:
        probability = float(str(meta.get("probability")))
    except ValueError:
        return None
    return "true" if str(meta.get("isClosed")).lower() == "true" and probability == 1 else "false"
