"""HubSpot's endpoints beside the CRM objects: owners, deal pipelines, page views, forms, marketing email.

Sources: developers.hubspot.com/docs/api-reference: crm owners and pipelines v3, events v3, marketing forms v3,
form-integrations v1 (newest submission first, 50 a page), email analytics v1 (newest event first).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.fakes.hubspot_crm import Refused
from tests.fakes.hubspot_portal import Portal, to_iso


@dataclass
class Activity:
    """What happened and who works there. Moments are epoch milliseconds."""

    owners: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    visits: list[dict[str, Any]] = field(default_factory=list)
    forms: dict[str, str] = field(default_factory=dict)
    form_types: dict[str, str] = field(default_factory=dict)
    """Form -> its type, where that isn't `hubspot`."""
    submissions: list[dict[str, Any]] = field(default_factory=list)
    email_events: list[dict[str, Any]] = field(default_factory=list)
    campaigns: dict[int, dict[str, Any]] = field(default_factory=dict)


class ActivityEndpoints:
    """Answers as Python values."""

    def __init__(self, portal: Portal, activity: Activity) -> None:
        self.portal = portal
        self.activity = activity
        self._last = 0

    def add_owner(self, email: str) -> str:
        """Returns the id."""
        one = self._id()
        self.activity.owners[one] = {
            "id": one,
            "email": email,
            "firstName": email.split("@")[0],
            "lastName": "Owner",
            "userId": int(one) + 1000,
            "createdAt": to_iso(self.portal.now),
            "updatedAt": to_iso(self.portal.now),
            "archived": False,
        }
        return one

    def add_stage(self, stage: str, label: str, probability: str) -> None:
        """To the default pipeline."""
        closed = probability in ("0.0", "1.0")
        self.activity.stages[stage] = {
            "id": stage,
            "label": label,
            "displayOrder": len(self.activity.stages),
            "metadata": {"isClosed": str(closed).lower(), "probability": probability},
            "createdAt": to_iso(self.portal.now),
            "updatedAt": to_iso(self.portal.now),
            "archived": False,
        }

    def add_visit(self, contact: int, url: str, **properties: str) -> str:
        """A page view now. Returns the id."""
        one = f"visit-{self._id()}"
        event = {
            "objectType": "CONTACT",
            "objectId": str(contact),
            "eventType": "e_visited_page",
            "occurredAt": to_iso(self.portal.now),
            "id": one,
            "properties": {"hs_url": url, "hs_title": "Page", **properties},
        }
        self.activity.visits.append(event)
        return one

    def add_submission(self, form: str, email: str) -> str:
        """A form sent now. Returns the id."""
        self.activity.forms.setdefault(form, f"Form {form}")
        one = f"conversion-{self._id()}"
        values = [{"name": "email", "value": email, "objectTypeId": "0-1"}]
        entry = {"conversionId": one, "submittedAt": self.portal.now, "values": values, "pageUrl": "https://x.example/"}
        self.activity.submissions.append({"form": form, **entry})
        return one

    def add_email_event(self, kind: str, recipient: str, campaign: int) -> str:
        """Something that happened to an email now. Returns the id."""
        known = {
            "id": campaign,
            "appId": 113,
            "name": f"Campaign {campaign}",
            "subject": "Hello",
            "type": "BATCH_EMAIL",
        }
        self.activity.campaigns.setdefault(campaign, {**known, "lastUpdatedTime": self.portal.now})
        one = f"email-{self._id()}"
        event = {"id": one, "created": self.portal.now, "type": kind, "recipient": recipient}
        self.activity.email_events.append({**event, "emailCampaignId": campaign, "filteredEvent": False})
        return one

    def list_owners(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /crm/v3/owners."""
        wants_archived = query.get("archived") == "true"
        owners = [one for one in self.activity.owners.values() if one["archived"] == wants_archived]
        return self._page(owners, query, 500)

    def list_pipelines(self) -> dict[str, Any]:
        """GET /crm/v3/pipelines/deals: one answer, without pages."""
        stages = list(self.activity.stages.values())
        return {
            "results": [{"id": "default", "label": "Sales", "displayOrder": 0, "stages": stages, "archived": False}]
        }

    def list_events(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /events/v3/events, of one type, oldest first when sorted so."""
        if "eventType" not in query and "objectType" not in query:
            raise Refused(400, "eventType or objectType is required")
        if query.get("sort", "occurredAt") not in ("occurredAt", "-occurredAt"):
            raise Refused(400, "Only a single sort field 'occurredAt' is supported")
        low, high = query.get("occurredAfter"), query.get("occurredBefore")
        found = [
            event
            for event in self.activity.visits
            if event["eventType"] == query.get("eventType", event["eventType"])
            and (low is None or _milliseconds(event["occurredAt"]) > _milliseconds(low))
            and (high is None or _milliseconds(event["occurredAt"]) < _milliseconds(high))
        ]
        found.sort(key=lambda event: (_milliseconds(event["occurredAt"]), event["id"]))
        if query.get("sort") == "-occurredAt":
            found.reverse()
        return self._page(found, query, 1000)

    def list_forms(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /marketing/v3/forms: of type hubspot alone, unless asked otherwise (estuary/connectors issue 4940)."""
        wanted, types = query.get("formTypes", "hubspot"), self.activity.form_types
        forms = [
            {"id": one, "name": name, "formType": types.get(one, "hubspot")}
            for one, name in self.activity.forms.items()
        ]
        return self._page([one for one in forms if wanted in ("all", one["formType"])], query, 500)

    def list_submissions(self, form: str, query: dict[str, str]) -> dict[str, Any]:
        """GET /form-integrations/v1/submissions/forms/{form}: newest first, no filter by time."""
        if form not in self.activity.forms:
            raise Refused(404, "Form not found", "OBJECT_NOT_FOUND")
        if self.activity.form_types.get(form) == "blog_comment":
            raise Refused(400, "Submissions of this type of form can't be read")
        own = [entry for entry in reversed(self.activity.submissions) if entry["form"] == form]
        return self._page([{name: entry[name] for name in entry if name != "form"} for entry in own], query, 50)

    def list_email_events(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /email/public/v1/events: newest first, by opaque offset."""
        low, high = int(query.get("startTimestamp", 0)), int(query.get("endTimestamp", 1 << 62))
        found = [event for event in reversed(self.activity.email_events) if low <= event["created"] <= high]
        return self._offset("events", found, query)

    def list_campaigns(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /email/public/v1/campaigns/by-id: ids only."""
        names = ("id", "appId", "lastUpdatedTime")
        found = [{name: one[name] for name in names} for one in self.activity.campaigns.values()]
        return self._offset("campaigns", found, query)

    def read_campaign(self, one: str) -> dict[str, Any]:
        """GET /email/public/v1/campaigns/{id}."""
        if int(one) not in self.activity.campaigns:
            raise Refused(404, "Campaign not found", "OBJECT_NOT_FOUND")
        return self.activity.campaigns[int(one)]

    def _page(self, found: list[Any], query: dict[str, str], most: int) -> dict[str, Any]:
        limit, after = int(query.get("limit", "10")), int(query.get("after", "0"))
        if not 1 <= limit <= most:
            raise Refused(400, f"limit must be between 1 and {most}")
        more = {"paging": {"next": {"after": str(after + limit)}}} if after + limit < len(found) else {}
        return {"results": found[after : after + limit], **more}

    def _offset(self, name: str, found: list[Any], query: dict[str, str]) -> dict[str, Any]:
        limit = int(query.get("limit", "10"))
        after = int(query.get("offset", "o0")[1:])
        return {
            name: found[after : after + limit],
            "hasMore": after + limit < len(found),
            "offset": f"o{after + limit}",
        }

    def _id(self) -> str:
        self._last += 1
        return str(self._last)


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
