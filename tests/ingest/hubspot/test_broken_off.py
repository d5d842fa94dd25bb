"""The sync after one that was broken off brings what changed in between as well."""

import pytest

from services.ingest.adapters.hubspot import activity, api, crm_objects
from shared.errors import TransientError
from tests.fakes.hubspot import FakeHubSpot
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot

DAY = 86_400_000
NAMES = "select name from raw.hubspot_companies order by id"


def _break(hubspot: FakeHubSpot, part: str, *, after: int = 0) -> None:
    """Answers to such requests make no sense, those after the first few."""
    asked: list[str] = []

    def change(request: str, answer: dict[str, object]) -> dict[str, object]:
        if part in request:
            asked.append(request)
        return {} if part in request and len(asked) > after else answer

    hubspot.change_answer = change


def _mend(hubspot: FakeHubSpot) -> None:
    hubspot.change_answer = lambda request, answer: answer


@pytest.mark.parametrize("broken_in", ["archived", "changes"])
def test_change_between_two_syncs_the_first_of_which_broke_off(
    hubspot: FakeHubSpot,
    sync_hubspot: SyncHubSpot,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
    broken_in: str,
) -> None:
    for module, name in ((api, "SEARCH_PAGE"), (crm_objects, "LINKS_PAGE")):
        monkeypatch.setattr(module, name, 2)
    portal = hubspot.portal
    ids = [portal.create("companies", name=f"{number}").id for number in range(6)]
    sync_hubspot(objects=["companies"])
    portal.now += DAY
    portal.update("companies", ids, name="Monday")
    _break(
        hubspot,
        *(("archived=true",) if broken_in == "archived" else ("/search",)),
        after=0 if broken_in == "archived" else 2,
    )
    with pytest.raises(TransientError):
        sync_hubspot(objects=["companies"], job_id="monday", segment_rows=1)
    portal.now += DAY // 2
    portal.update("companies", ids[:1], name="Monday evening")
    portal.archive("companies", ids[1])
    portal.now += DAY // 2
    _break(hubspot, "/search", after=3)
    if broken_in == "changes":  # the second is broken off as well, in what it reads after the first one's rest
        with pytest.raises(TransientError):
            sync_hubspot(objects=["companies"], job_id="tuesday", segment_rows=1)
    _mend(hubspot)
    sync_hubspot(objects=["companies"], job_id="tuesday")
    assert query(NAMES) == [("Monday evening",), *[("Monday",)] * 5]
    assert query("select id from raw.hubspot_companies where is_deleted") == [(str(ids[1]),)]
    before = len(hubspot.requests)
    assert sync_hubspot(objects=["companies"])["changed"] == 0
    assert sum("/search" in request for request in hubspot.requests[before:]) == 1, "no reading goes on for ever"


def test_views_between_two_syncs_the_first_of_which_broke_off(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "_EVENTS_PAGE", "2")
    sync_hubspot(objects=["web_events"])
    hubspot.portal.now += DAY
    for _ in range(5):
        hubspot.activity.add_visit(1, "https://own.example/")
    _break(hubspot, "/events/v3/events", after=2)
    with pytest.raises(TransientError):
        sync_hubspot(objects=["web_events"], job_id="monday")
    hubspot.portal.now += DAY
    hubspot.activity.add_visit(1, "https://own.example/tuesday")
    _mend(hubspot)
    sync_hubspot(objects=["web_events"], job_id="tuesday")
    assert query("select count(*) from raw.hubspot_web_visits") == [(6,)]


@pytest.mark.parametrize("name", ["web_events", "email_events"])
def test_event_that_arrives_an_hour_late_is_found(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, name: str
) -> None:
    portal, table = hubspot.portal, {"web_events": "hubspot_web_visits"}.get(name, "hubspot_email_events")
    sync_hubspot(objects=[name])
    portal.now -= 3_600_000
    hubspot.activity.add_visit(1, "https://own.example/")
    hubspot.activity.add_email_event("OPEN", "a@x.example", 1)
    portal.now += 3_600_000 + 60_000
    sync_hubspot(objects=[name])
    assert query(f"select count(*) from raw.{table}") == [(1,)]
    assert sync_hubspot(objects=[name])["changed"] == 0
