"""What a sync of HubSpot lands: each object once, in its columns, and what a repeat does."""

import json

from tests.fakes.hubspot import FakeHubSpot
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot


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
