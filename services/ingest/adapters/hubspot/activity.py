"""Reading owners, pipeline stages, page views, form submissions and marketing email.

Paths are of developers.hubspot.com/docs/api-reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.ingest.adapters.hubspot.api import GENERAL, CrmApi, Fields, Page, to_milliseconds
from services.ingest.adapters.hubspot.batches import read_records
from services.ingest.domain.hubspot.activity import (
    OWNERS,
    STAGES,
    submitted_email,
    to_campaign_batch,
    to_email_event_batch,
    to_owner_batch,
    to_stage_batch,
    to_submission_batch,
    to_visit_batch,
)
from services.ingest.domain.hubspot.cursors import Position
from services.ingest.domain.hubspot.rows import SHAPE_ERRORS
from services.ingest.domain.sources import Checkpoint, ScanEnd, SourceEvent
from shared.errors import TerminalError

_OWNERS_PAGE: Final = "500"  # latest/crm/owners/get-owners
_EVENTS_PAGE: Final = "1000"  # legacy/events/retrieve-events/get-events
_FORMS_PAGE: Final = "100"
_SUBMISSIONS_PAGE: Final = "50"  # legacy/marketing/forms/v1/get-form-integrations-v1-submissions-forms-form_guid
_EMAIL_PAGE: Final = "1000"  # legacy/reporting/email-analytics/events/get-email-public-v1-events
_REFUSED_TOKENS: Final = ("crm-request-refused", "crm-not-found")


@dataclass(frozen=True)
class ActivityReader:
    """Streams beside the CRM objects. Each reads from its `Position` to the end, with a checkpoint a page."""

    api: CrmApi

    def read_owners(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """All of them, each time: it is a short list."""
        for archived in ("false", "true"):
            for page in self._pages("/crm/v3/owners", {"limit": _OWNERS_PAGE, "archived": archived}, needs="id"):
                yield to_owner_batch(page.results, is_deleted=archived == "true")
        yield ScanEnd(OWNERS)
        yield _done(stream, position)

    def read_pipelines(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """All deal pipelines with their stages, in one answer. latest/crm/pipelines/get-pipelines."""
        path = "/crm/v3/pipelines/deals"
        yield self.api.insist(path, lambda: to_stage_batch(self.api.get_page(path, {}, needs="id").results))
        yield ScanEnd(STAGES)
        yield _done(stream, position)

    def read_web_events(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """Page views of known contacts. One event type may be asked for without naming records (amp-labs/connectors
        pull request 3023), oldest first by `occurredAt`, the only order that it takes (HubSpot/hubspot-api-python
        issue 333).
        """
        until = position.until or position.started
        params = {
            "eventType": "e_visited_page",
            "sort": "occurredAt",
            "limit": _EVENTS_PAGE,
            "occurredBefore": _iso(until),
            **({"occurredAfter": _iso(position.since)} if position.since is not None else {}),
        }
        for page in self._resumed_pages("/events/v3/events", params, position):
            yield to_visit_batch(page.results)
            if page.after is not None:
                yield Checkpoint(stream, position.at(page.after).to_cursor())
        yield _done(stream, position)

    def read_submissions(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """Form by form, newest first until older than asked: the endpoint has no filter by time.

        A submission names its sender by email alone, so the contact is looked up.
        """
        for form in self._forms():
            if position.after is not None and str(form["id"]) <= position.after:
                continue  # read before the last attempt ended
            path = f"/form-integrations/v1/submissions/forms/{form['id']}"
            for page in self._pages(path, {"limit": _SUBMISSIONS_PAGE}):
                inside = [one for one in page.results if _is_within(one, position)]
                yield to_submission_batch(form, inside, self._contacts_of(inside))
                oldest = _sent_at(page.results[-1]) if page.results else None
                if oldest is not None and position.since is not None and oldest < position.since:
                    break
            yield Checkpoint(stream, position.at(str(form["id"])).to_cursor())
        yield _done(stream, position)

    def _forms(self) -> list[dict[str, Any]]:
        """Those that have submissions, by id. Without `formTypes` pop-up and captured forms are left out
        (airbytehq/airbyte issue 49140); those of blog comments answer 400 (estuary/connectors pull request 4942)."""
        asked = {"limit": _FORMS_PAGE, "formTypes": "all"}
        forms = [form for page in self._pages("/marketing/v3/forms", asked, needs="id") for form in page.results]
        return sorted((one for one in forms if one.get("formType") != "blog_comment"), key=lambda one: str(one["id"]))

    def read_email(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """Email events by pages of an opaque offset, then the campaigns that they belong to."""
        until = position.until or position.started
        params = {"limit": _EMAIL_PAGE, "endTimestamp": to_milliseconds(until)}
        if position.since is not None:
            params["startTimestamp"] = to_milliseconds(position.since)
        for page in self._resumed_pages("/email/public/v1/events", params, position, member="events"):
            yield to_email_event_batch(page.results)
            if page.after is not None:
                yield Checkpoint(stream, position.at(page.after).to_cursor())
        yield from self._campaigns(position)
        yield _done(stream, position)

    def _campaigns(self, position: Position) -> Iterator[SourceEvent]:
        """legacy/reporting/email-analytics/campaigns: a list of ids with their times, and each campaign by itself."""
        path = "/email/public/v1/campaigns"
        for page in self._pages(f"{path}/by-id", {"limit": _EMAIL_PAGE}, member="campaigns", needs="id"):
            news = [one for one in page.results if _is_news(one, position)]
            details = [detail for one in news if (detail := self._campaign(f"{path}/{one['id']}", one)) is not None]
            if details:
                yield to_campaign_batch(details)

    def _campaign(self, path: str, listed: dict[str, Any]) -> dict[str, Any] | None:
        asked = {"appId": str(listed.get("appId", ""))}
        try:
            return self.api.insist(path, lambda: {**listed, **self.api.client.get(path, params=asked, budget=GENERAL)})
        except TerminalError as error:
            if error.code != "crm-not-found":
                raise
            return None  # deleted since the list was made

    def _contacts_of(self, submissions: list[Any]) -> dict[str, str]:
        emails = sorted({email for one in submissions if (email := submitted_email(one)) is not None})
        found = read_records(self.api, "contacts", emails, Fields(("email", "hs_merged_object_ids")), by="email").found
        return {str(one["properties"].get("email")).lower(): str(one["id"]) for one in found}

    def _resumed_pages(
        self, path: str, params: dict[str, str], position: Position, *, member: str = "results"
    ) -> Iterator[Page]:
        """Pages from the position's token; from the first where HubSpot knows the token no more."""
        pages = self._pages(path, params, member=member, after=position.after)
        if position.after is not None:
            try:
                first = next(pages)
            except TerminalError as error:
                if error.code not in _REFUSED_TOKENS:
                    raise
                pages = self._pages(path, params, member=member)
            else:
                yield first
        yield from pages

    def _pages(
        self,
        path: str,
        params: dict[str, str],
        *,
        member: str = "results",
        needs: str = "",
        after: str | None = None,
    ) -> Iterator[Page]:
        """By `paging.next.after`; the email endpoints by `offset` and `hasMore`."""
        token = "after" if member == "results" else "offset"
        is_last = False
        while not is_last:
            asked = {**params, **({token: after} if after is not None else {})}
            page = self.api.get_page(path, asked, member=member, needs=needs)
            yield page
            after, is_last = page.after, page.after is None


def _done(stream: str, position: Position) -> Checkpoint:
    return Checkpoint(stream, position.to("done").to_cursor(), is_final=not position.is_taken_over)


def _is_within(submission: Any, position: Position) -> bool:
    moment = _sent_at(submission)
    if moment is None:
        return True  # it lands, or is told as a reject
    return (position.since is None or moment >= position.since) and (position.until is None or moment < position.until)


def _is_news(campaign: dict[str, Any], position: Position) -> bool:
    updated = _moment(campaign.get("lastUpdatedTime") or campaign.get("lastUpdated"))
    return position.since is None or updated is None or updated >= position.since


def _sent_at(submission: Any) -> datetime | None:
    return _moment(submission.get("submittedAt")) if isinstance(submission, dict) else None


def _moment(milliseconds: Any) -> datetime | None:
    """None where it is none."""
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (*SHAPE_ERRORS, OSError):
        return None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
