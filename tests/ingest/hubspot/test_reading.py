"""What a sync of HubSpot lands: each object once, in its columns, and what a repeat does."""

import json

import pytest

from services.ingest.adapters.hubspot import api
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.hubspot_portal import Property, to_iso
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot
from tests.ingest.hubspot.world import World


def test_each_object_lands_in_its_columns(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query) -> None:
    portal, activity = hubspot.portal, hubspot.activity
    owner = activity.add_owner("sam@own.example")
    activity.add_stage("won", "Won", "1.0")
    company = portal.create("companies", name="Acme", domain="acme.example", fleet_size="12", beds="3")
    contact = portal.create("contacts", email="ann@acme.example", associatedcompanyid=str(company.id))
    deal = portal.create("deals", dealname="Fleet", amount="10.5", dealstage="open", hubspot_owner_id=owner)
    portal.link("contacts", contact.id, "companies", company.id, "Decision maker")
    portal.link("deals", deal.id, "companies", company.id)
    portal.link("deals", deal.id, "contacts", contact.id)
    portal.now += 60_000
    portal.update("deals", [deal.id], dealstage="won")
    visit = activity.add_visit(contact.id, "https://own.example/?utm_source=news&x=1")
    form = activity.add_submission("form-1", "Ann@acme.example")
    email = activity.add_email_event("OPEN", "ann@acme.example", 77)
    result = sync_hubspot()
    assert result["rejected"] == 0
    assert query("select id, name, domain, is_deleted from raw.hubspot_companies") == [
        (str(company.id), "Acme", "acme.example", False)
    ]
    assert query("select email, company_id from raw.hubspot_contacts") == [("ann@acme.example", str(company.id))]
    assert query("select dealname, amount, owner_id, dealstage from raw.hubspot_deals") == [
        ("Fleet", "10.5", owner, "won")
    ]
    assert query("select contact_id, company_id, label from raw.hubspot_contact_companies") == [
        (str(contact.id), str(company.id), "Decision maker")
    ]
    assert query("select source_record_id from raw.hubspot_deal_companies") == [(f"{deal.id}|{company.id}",)]
    assert query("select source_record_id from raw.hubspot_deal_contacts") == [(f"{deal.id}|{contact.id}",)]
    assert query("select stage_id from raw.hubspot_deal_stage_history order by entered_at") == [("open",), ("won",)]
    assert query("select id, email from raw.hubspot_owners") == [(owner, "sam@own.example")]
    assert query("select id, pipeline_id, is_closed, closed_won from raw.hubspot_pipeline_stages") == [
        ("won", "default", "true", "true")
    ]
    assert query("select id, contact_id, utm_source from raw.hubspot_web_visits") == [(visit, str(contact.id), "news")]
    assert query("select id, contact_id, form_name from raw.hubspot_form_submissions") == [
        (form, str(contact.id), "Form form-1")
    ]
    assert query("select id, email_campaign_id from raw.hubspot_email_events") == [(email, "77")]
    assert query("select id, name, subject, type from raw.hubspot_email_campaigns") == [
        ("77", "Campaign 77", "Hello", "BATCH_EMAIL")
    ]
    assert ("companies", "domain") in query("select object_type, name from raw.hubspot_properties")
    assert json.loads(query("select extra from raw.hubspot_contacts")[0][0])["hs_object_id"] == str(contact.id)


def test_submissions_of_forms_of_every_type_are_read(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    types = {"own": "hubspot", "pop-up": "flow", "elsewhere": "captured", "comments": "blog_comment"}
    for form, kind in types.items():
        hubspot.activity.add_submission(form, "a@x.example")
        hubspot.activity.activity.form_types[form] = kind
    sync_hubspot(objects=["form_submissions"])
    found = query("select form_id from raw.hubspot_form_submissions order by 1")
    assert found == [("elsewhere",), ("own",), ("pop-up",)], "HubSpot gives no comments of a blog"


def test_same_account_again_changes_nothing(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot) -> None:
    world = World(hubspot, 3, has_leavers=False)
    world.change(80)
    sync_hubspot()
    for mode in ("incremental", "full"):
        assert sync_hubspot(mode=mode)["changed"] == 0, mode


def test_more_changes_of_one_moment_than_a_search_gives(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.hubspot_crm.SEARCH_CAP", 400)
    for _ in range(900):
        hubspot.portal.create("companies", name="Before")
    sync_hubspot(objects=["companies"])
    hubspot.portal.now += 600_000
    hubspot.portal.update("companies", hubspot.portal.alive("companies"), name="After")
    sync_hubspot(objects=["companies"])
    assert query("select name, count(*) from raw.hubspot_companies group by 1") == [("After", 900)]
    assert len(hubspot.search_times) == 5


def test_searches_keep_to_five_a_second(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SEARCHES_PER_SECOND", 5)
    monkeypatch.setattr(api, "SEARCH_PAGE", 1)
    sync_hubspot(objects=["companies"])
    for _ in range(11):
        hubspot.portal.create("companies")
    sync_hubspot(objects=["companies"])
    times = hubspot.search_times
    assert len(times) == 11
    assert all(later - earlier > 0.95 for earlier, later in zip(times, times[5:], strict=False))


@pytest.mark.parametrize("archived", [False, True])
def test_long_property_lists_go_by_post(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, archived: bool
) -> None:
    names = [f"a_property_with_a_rather_long_name_{number}" for number in range(300)]
    hubspot.portal.properties["deals"] |= {name: Property(name) for name in names}
    deal = hubspot.portal.create("deals", dealname="Fleet", dealstage="new", **{names[-1]: "here"})
    if archived:
        hubspot.portal.archive("deals", deal.id)
    for mode in ("full", "incremental"):
        sync_hubspot(objects=["deals"], mode=mode)
        rows = query(f"select dealname, is_deleted, extra ->> '{names[-1]}' from raw.hubspot_deals")
        assert rows == [("Fleet", archived, "here")]
        hubspot.portal.update("deals", [deal.id], dealname="Fleet")
    assert max(len(request) for request in hubspot.requests) < 1_000


def test_chosen_properties_and_no_others(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query) -> None:
    hubspot.portal.properties["contacts"] |= {name: Property(name) for name in ("score", "secret")}
    hubspot.portal.create("contacts", email="ann@x.example", score="7", secret="s")
    sync_hubspot(objects=["contacts"], properties={"contacts": ["score"]})
    extra = json.loads(query("select extra from raw.hubspot_contacts")[0][0])
    assert extra["score"] == "7" and "secret" not in extra
    assert query("select email from raw.hubspot_contacts") == [("ann@x.example",)]


def test_window_reads_what_changed_in_it_and_leaves_the_bookmark(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    portal = hubspot.portal
    sync_hubspot(objects=["companies"])
    for name in ("Early", "Inside", "Late"):
        portal.now += 3_600_000
        portal.create("companies", name=name)
    window = {"since": to_iso(portal.now - 5_400_000), "until": to_iso(portal.now - 1_800_000)}
    sync_hubspot(objects=["companies"], **window)
    names = "select name from raw.hubspot_companies order by id"
    assert query(names) == [("Inside",)]
    sync_hubspot(objects=["companies"])
    assert query(names) == [("Early",), ("Inside",), ("Late",)]


def test_stage_history_and_owner_of_a_deal_that_changes_hands(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    deal = hubspot.portal.create("deals", dealstage="new")
    sync_hubspot(objects=["deals"])
    hubspot.portal.now += 5_000
    hubspot.portal.update("deals", [deal.id], dealstage="won", hubspot_owner_id="9")
    sync_hubspot(objects=["deals"])
    assert query("select dealstage, owner_id from raw.hubspot_deals") == [("won", "9")]
    assert query("select stage_id from raw.hubspot_deal_stage_history order by entered_at") == [("new",), ("won",)]


def test_moments_in_milliseconds_and_iso_are_one_order(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    """HubSpot mixes them: airbytehq/airbyte, source-hubspot, BEHAVIOR.md."""
    company = hubspot.portal.create("companies", name="Old")
    stamp = company.properties["hs_lastmodifieddate"]
    milliseconds = str(hubspot.portal.now)
    company.properties["hs_lastmodifieddate"] = milliseconds
    sync_hubspot(objects=["companies"])
    company.properties |= {"hs_lastmodifieddate": stamp, "name": "New"}
    sync_hubspot(objects=["companies"], mode="full")
    assert query("select name, hs_lastmodifieddate from raw.hubspot_companies") == [("New", stamp)]
