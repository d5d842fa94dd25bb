"""Values and answers of a shape that HubSpot's documentation doesn't have: rejected, stored or asked for again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import TransientError
from tests.fakes.hubspot import FakeHubSpot
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot


def _change(hubspot: FakeHubSpot, part: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    hubspot.change_answer = lambda request, answer: change(answer) if part in request else answer


def test_visit_of_an_address_that_is_none_lands(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query) -> None:
    """The address of a tracked page comes from whoever opened it."""
    contact = hubspot.portal.create("contacts", email="a@x.example").id
    hubspot.activity.add_visit(contact, "https://[x/?utm_source=news")
    hubspot.activity.add_visit(contact, "https://own.example/?utm_source=news")
    assert sync_hubspot(objects=["web_events"])["rejected"] == 0
    assert query("select page_url, utm_source from raw.hubspot_web_visits order by id") == [
        ("https://[x/?utm_source=news", None),
        ("https://own.example/?utm_source=news", "news"),
    ]


def test_half_an_emoji_lands_with_a_mark_and_a_note(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    hubspot.portal.create("companies", name="Acme \ud83d", city="\U0001f600")
    result = sync_hubspot(objects=["companies"])
    assert query("select name, city from raw.hubspot_companies") == [("Acme \ufffd", "\U0001f600")]
    assert any("U+FFFD" in note for note in result["notes"])
    assert sync_hubspot(objects=["companies"], mode="full")["changed"] == 0


ODD_ROWS = {
    "web_events": ("/events/v3/events", "results", {"id": "v", "properties": ["https://x.example/"]}),
    "email_events": ("/email/public/v1/events", "events", ["no", "event"]),
    "form_submissions": ("/form-integrations", "results", {"conversionId": "c", "submittedAt": "soon", "values": "x"}),
}


@pytest.mark.parametrize("name", ODD_ROWS)
def test_odd_event_is_rejected_with_its_content_and_the_others_land(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, name: str
) -> None:
    part, member, odd = ODD_ROWS[name]
    contact = hubspot.portal.create("contacts", email="a@x.example").id
    hubspot.activity.add_visit(contact, "https://own.example/")
    hubspot.activity.add_submission("form", "a@x.example")
    hubspot.activity.add_email_event("OPEN", "a@x.example", 1)
    _change(hubspot, part, lambda answer: {**answer, member: [*answer[member], odd]} if member in answer else answer)
    result = sync_hubspot(objects=[name])
    assert (result["rejected"], result["inserted"] >= 1) == (1, True)
    assert result["first_rejects"][0]["reason"] == "it has another shape than HubSpot's documentation says"
    assert [json.loads(content) for (content,) in query("select content from raw.rejects")] == [odd]


ODD_SHAPES: dict[str, tuple[str, str, Any]] = {
    "association without ends": ("contacts", "/associations/", {"results": [{"from": {"id": "1"}}]}),
    "association of nobody": ("contacts", "/associations/", {"results": [{"to": []}]}),
    "property without a name": ("contacts", "/properties/", {"results": [{"type": "string"}]}),
    "paging that is none": ("contacts", "/objects/contacts?", {"results": [], "paging": "no"}),
    "form without an id": ("form_submissions", "/marketing/v3/forms", {"results": [{"name": "x"}]}),
    "stage that is none": ("pipelines", "/pipelines/", {"results": [{"id": "p", "stages": ["x"]}]}),
    "owner without an id": ("owners", "/owners", {"results": [{"email": "x"}]}),
    "campaign that is none": ("email_events", "/campaigns/1", []),
    "offset that lacks": ("email_events", "/email/public/v1/events", {"events": [], "hasMore": True}),
}


@pytest.mark.parametrize("shape", ODD_SHAPES)
def test_odd_answer_is_asked_for_again_then_told(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, shape: str
) -> None:
    name, part, odd = ODD_SHAPES[shape]
    hubspot.portal.create("contacts", email="a@x.example")
    hubspot.activity.add_submission("form", "a@x.example")
    hubspot.activity.add_email_event("OPEN", "a@x.example", 1)
    hubspot.activity.add_owner("o@x.example")
    hubspot.activity.add_stage("won", "Won", "1.0")
    _change(hubspot, part, lambda answer: odd)
    with pytest.raises(TransientError, match="malformed page") as caught:
        sync_hubspot(objects=[name])
    assert caught.value.code == "crm-unavailable"
    broken = iter([odd, odd])
    _change(hubspot, part, lambda answer: next(broken, answer))
    assert sync_hubspot(objects=[name])["seen"] >= 1 and next(broken, None) is None
