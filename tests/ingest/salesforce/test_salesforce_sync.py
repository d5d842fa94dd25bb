"""What a sync of Salesforce lands: every record once, as it is, whichever API brought it."""

import json

from services.ingest.domain.salesforce.sobjects import SOBJECTS
from shared.warehouse import Warehouse
from tests.fakes.salesforce import FakeSalesforce
from tests.fakes.salesforce_org import Org
from tests.ingest.conftest import Query
from tests.ingest.salesforce.conftest import SalesforceSync, check_truth


def _fill(org: Org) -> None:
    account = org.insert(
        "Account",
        Name='Falkor "Freight"',
        AnnualRevenue=1.39e8,
        NumberOfEmployees=120,
        Fleet_Size__c=41.0,
        Score__c=7.5,
    )
    contact = org.insert("Contact", AccountId=account, Email="a@falkor.example", DoNotCall=True)
    org.insert("Lead", Company="Ümlaut & Söhne", IsConverted=False)
    deal = org.insert("Opportunity", AccountId=account, StageName="Prospecting", Amount=12500.5, IsClosed=False)
    org.tick(60)
    org.update("Opportunity", deal, StageName="Closed Won", IsClosed=True, IsWon=True)
    org.insert("OpportunityContactRole", OpportunityId=deal, ContactId=contact, Role="Buyer", IsPrimary=True)
    campaign = org.insert("Campaign", Name="Spring", IsActive=True)
    org.insert("CampaignMember", CampaignId=campaign, ContactId=contact, HasResponded=False)
    org.insert("Task", WhatId=deal, Subject="Call\nback", IsClosed=False)
    org.insert("Event", WhoId=contact, Subject="Demo", DurationInMinutes=30)
    org.insert("User", Name="Rep", IsActive=True)
    org.tick(60)


def test_every_object_lands(pull: SalesforceSync, org: Org, warehouse: Warehouse, query: Query) -> None:
    _fill(org)
    result = pull()
    check_truth(warehouse, org)
    assert {table: counts["inserted"] for table, counts in result["tables"].items()} == {
        one.table: 2 if one.name == "OpportunityHistory" else 1 for one in SOBJECTS.values()
    }
    [row] = query(
        "select annual_revenue, number_of_employees, fleet_size, vehicle_type, extra, source_updated_at, "
        "system_modstamp from raw.salesforce_accounts"
    )
    assert row[:4] == ("139000000", "120", "41", None)
    assert json.loads(row[4]) == {"Score__c": "7.5"}
    assert str(row[5]) == row[6].replace("T", " ").removesuffix(".000+0000")


def test_a_repeat_changes_nothing_by_either_api(pull: SalesforceSync, org: Org, salesforce: FakeSalesforce) -> None:
    _fill(org)
    pull()
    again = pull(request={"mode": "full"}, salesforce_bulk_rows=0)
    assert any(call.path.endswith("/results") for call in salesforce.calls)
    assert (again["seen"], again["changed"]) == (12, 0)
    assert pull()["changed"] == 0
