"""What a sync says when HubSpot, its token or the request is not as it should be."""

import json
from typing import Any

import pytest

from services.ingest.adapters.sources import validate_sync_request
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.errors import GtmError, InvalidRequest, TerminalError, TransientError
from tests.fakes.hubspot import SCOPES, TOKEN, FakeHubSpot
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot


def refused(sync_hubspot: SyncHubSpot, **options: Any) -> GtmError:
    with pytest.raises(GtmError) as caught:
        sync_hubspot(**options)
    assert TOKEN not in json.dumps(caught.value.to_problem())
    return caught.value


def test_wrong_token_is_told_once(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot) -> None:
    hubspot.token = "another"  # nosec B105: not one
    error = refused(sync_hubspot)
    assert (error.code, error.is_transient) == ("crm-token-refused", False)
    assert "make a new token" in error.detail and len(hubspot.requests) == 2


def test_expired_token_ends_the_sync_and_a_new_one_goes_on(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    for number in range(450):
        hubspot.portal.create("companies", name=f"Company {number}")
    hubspot.token_lasts = 7
    error = refused(sync_hubspot, objects=["companies"], job_id="one")
    assert error.code == "crm-token-refused" and "expired" in error.detail
    hubspot.token_lasts = None
    sync_hubspot(objects=["companies"], job_id="one")
    assert query("select count(*), count(distinct id) from raw.hubspot_companies") == [(450, 450)]


def test_another_job_does_not_take_the_first_half_of_a_scan_for_gone(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    for number in range(2_100):
        hubspot.portal.create("companies", name=f"Company {number}")
    hubspot.token_lasts = 20
    assert refused(sync_hubspot, objects=["companies"], job_id="one", segment_rows=1).code == "crm-token-refused"
    assert query("select count(*) from raw.hubspot_companies") == [(1_000,)]
    hubspot.token_lasts = None
    sync_hubspot(objects=["companies"], job_id="two")
    assert query("select count(*), count(distinct id), max(is_deleted) from raw.hubspot_companies") == [
        (2_100, 2_100, False)
    ]


def test_missing_scopes_are_told_together_before_anything_is_read(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    hubspot.portal.create("companies", name="Acme")
    hubspot.scopes -= {SCOPES["/deals"], SCOPES["/events/v3"]}
    error = refused(sync_hubspot)
    assert error.code == "crm-scope-missing"
    assert error.extensions["scopes"] == ["business-intelligence", "crm.objects.deals.read"]
    assert error.extensions["unread"] == ["deals", "pipelines", "web_events"]
    assert "out of options.objects" in error.detail and "crm.objects.deals.read" in error.detail
    assert query("select count(*) from raw.hubspot_companies") == [(0,)]
    sync_hubspot(objects=["companies", "owners"])
    assert query("select count(*) from raw.hubspot_companies") == [(1,)]


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"objects": ["tickets"]}, "options.objects.0 = 'tickets'"),
    ({"objects": []}, "options.objects"),
    ({"objekts": ["deals"]}, "options.objekts is not an option"),
    ({"since": "2026-01-01"}, "options.since"),
    ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since must be before until"),
    ({"records": {"contacts": ["a1"]}}, "options.records.contacts.0"),
    ({"records": {"contacts": ["1"]}, "since": "2026-01-01T00:00:00Z"}, "leave out since"),
]


@pytest.mark.parametrize(("options", "told"), BAD_OPTIONS, ids=[told for _, told in BAD_OPTIONS])
def test_wrong_options_are_refused_at_the_door(options: dict[str, Any], told: str) -> None:
    settings = IngestSettings(GTM_HUBSPOT_TOKEN=TOKEN)
    with pytest.raises(InvalidRequest) as caught:
        validate_sync_request(SyncRequest(source="hubspot", options=options), settings)
    assert caught.value.code == "invalid-options" and told in caught.value.detail


def test_without_a_token_the_setting_is_named() -> None:
    with pytest.raises(InvalidRequest, match="GTM_HUBSPOT_TOKEN") as caught:
        validate_sync_request(SyncRequest(source="hubspot"), IngestSettings())
    assert caught.value.code == "source-not-configured"


@pytest.mark.parametrize("odd", ["\n", "\u200b", " ", "\x00"], ids=["line break", "zero width", "blank", "nul"])
def test_token_that_no_header_can_hold_is_refused_at_the_door(odd: str) -> None:
    with pytest.raises(InvalidRequest, match="GTM_HUBSPOT_TOKEN has characters") as caught:
        validate_sync_request(SyncRequest(source="hubspot"), IngestSettings(GTM_HUBSPOT_TOKEN=f"{TOKEN}{odd}x\n"))
    assert caught.value.code == "source-not-configured" and TOKEN not in json.dumps(caught.value.to_problem())
    validate_sync_request(SyncRequest(source="hubspot"), IngestSettings(GTM_HUBSPOT_TOKEN=f" {TOKEN}\n"))


def test_unknown_property_is_named(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot) -> None:
    error = refused(sync_hubspot, objects=["deals"], properties={"deals": ["dealname", "Deal name"]})
    assert isinstance(error, TerminalError) and error.code == "unknown-property"
    assert error.extensions == {"object": "deals", "properties": ["Deal name"]}


@pytest.mark.parametrize("answer", [{}, {"results": "none"}, {"results": None}, {"message": "hello"}])
def test_malformed_page_is_asked_for_again_then_told(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, answer: dict[str, Any]
) -> None:
    hubspot.portal.create("companies", name="Acme")
    hubspot.change_answer = lambda request, good: answer if "/objects/" in request else good
    error = refused(sync_hubspot, objects=["companies"])
    assert isinstance(error, TransientError) and error.code == "crm-unavailable" and "malformed page" in error.detail
    broken = iter([answer, answer])
    hubspot.change_answer = lambda request, good: next(broken, good) if "/objects/" in request else good
    sync_hubspot(objects=["companies"])
    assert query("select name from raw.hubspot_companies") == [("Acme",)]


def test_page_that_leads_to_itself_is_no_endless_loop(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot) -> None:
    for _ in range(250):
        hubspot.portal.create("companies")
    first: dict[str, Any] = {}

    def repeat(request: str, answer: dict[str, Any]) -> dict[str, Any]:
        return first.setdefault("page", answer) if "limit=100" in request else answer

    hubspot.change_answer = repeat
    error = refused(sync_hubspot, objects=["companies"])
    assert error.code == "crm-unavailable" and "same page again" in error.detail


def test_search_that_ignores_the_order_is_no_answer(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot) -> None:
    sync_hubspot(objects=["companies"])
    for _ in range(3):
        hubspot.portal.create("companies")
    hubspot.change_answer = lambda request, answer: (
        {**answer, "results": answer["results"][::-1]} if request.endswith("/search") else answer
    )
    assert refused(sync_hubspot, objects=["companies"]).code == "crm-unavailable"


def test_record_without_an_id_is_rejected_with_its_content(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    hubspot.portal.create("companies", name="Acme")
    odd = {"properties": {"name": "Nobody"}}
    hubspot.change_answer = lambda request, answer: (
        {**answer, "results": [odd, *answer["results"]]} if "/objects/companies?" in request else answer
    )
    result = sync_hubspot(objects=["companies"])
    assert result["first_rejects"][0] == {
        "table": "hubspot_companies",
        "file": "companies",
        "line": 0,
        "reason": "no record: it lacks an id or its properties",
    }
    assert query("select content from raw.rejects limit 1") == [(json.dumps(odd),)]


def test_record_that_lost_its_properties_is_rejected_and_not_gone(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    odd = hubspot.portal.create("companies", name="Acme")
    hubspot.portal.create("companies", name="Beta")
    sync_hubspot(objects=["companies"])
    hubspot.change_answer = lambda request, answer: (
        {**answer, "results": [{"id": odd.id}, *answer["results"][1:]]}
        if "/objects/companies?" in request and "archived=true" not in request
        else answer
    )
    result = sync_hubspot(mode="full", objects=["companies"])
    assert (result["rejected"], result["deleted"]) == (1, 0)
    assert query("select name from raw.hubspot_companies where not is_deleted order by 1") == [("Acme",), ("Beta",)]


def test_empty_account_lands_nothing_and_succeeds(sync_hubspot: SyncHubSpot, query: Query) -> None:
    result = sync_hubspot(objects=["contacts", "web_events", "email_events"])
    assert (result["rejected"], query("select count(*) from raw.hubspot_contacts")) == (0, [(0,)])
