"""What changes between two syncs and during one: seen once, tombstones and merges included."""

import json
from typing import Any

import pytest

from shared.warehouse import Warehouse
from tests.fakes.salesforce import Call, FakeSalesforce
from tests.fakes.salesforce_org import Org
from tests.fakes.salesforce_schema import FakeField
from tests.ingest.conftest import Query
from tests.ingest.salesforce.conftest import SalesforceSync, check_truth

_HOUR = 3_600


def _notes(result: dict[str, Any]) -> list[str]:
    """Without the one on the clocks: the org's stands still or runs ahead."""
    return [note for note in result["notes"] if not note.startswith("The clock")]


def _accounts(org: Org, count: int) -> list[str]:
    return [org.insert("Account", Name=f"Account {number}") for number in range(count)]


def test_changes_deletions_and_merges(pull: SalesforceSync, org: Org, warehouse: Warehouse, query: Query) -> None:
    first, second, third, fourth = _accounts(org, 4)
    contact = org.insert("Contact", AccountId=second, LastName="Aal")
    pull("Account", "Contact")
    org.tick(_HOUR)
    org.update("Account", first, Name="renamed")
    org.merge("Account", first, second)
    org.delete("Account", third)
    org.purge("Account", fourth)
    org.tick(_HOUR)
    result = pull("Account", "Contact")
    check_truth(warehouse, org, "Account", "Contact")
    assert result["changed"] == 5
    gone = query("select id, master_record_id from raw.salesforce_accounts where is_deleted")
    assert dict((row[0], row[1]) for row in gone) == {second: first, third: None, fourth: None}
    assert query(f"select account_id from raw.salesforce_contacts where id = '{contact}'") == [(first,)]
    org.tick(_HOUR)
    org.undelete("Account", third)
    org.tick(_HOUR)
    assert pull("Account", "Contact")["changed"] == 1
    check_truth(warehouse, org, "Account", "Contact")


def test_objects_without_a_recycle_bin(pull: SalesforceSync, org: Org, warehouse: Warehouse) -> None:
    """A deleted CampaignMember is nowhere to be queried; the delete log knows it."""
    members = [org.insert("CampaignMember", Status="Sent") for _ in range(3)]
    pull("CampaignMember")
    org.tick(_HOUR)
    org.delete("CampaignMember", members[1])
    org.tick(_HOUR)
    assert pull("CampaignMember")["deleted"] == 1
    check_truth(warehouse, org, "CampaignMember")


def test_history_follows_its_opportunity(pull: SalesforceSync, org: Org, warehouse: Warehouse) -> None:
    """OpportunityHistory has a CreatedDate alone: it goes with its opportunity, and comes back with it."""
    deal = org.insert("Opportunity", StageName="Prospecting")
    pull("Opportunity", "OpportunityHistory")
    for change in (org.delete, org.undelete):
        org.tick(_HOUR)
        change("Opportunity", deal)
        org.tick(_HOUR)
        pull("Opportunity", "OpportunityHistory")
        check_truth(warehouse, org, "Opportunity", "OpportunityHistory")


def test_equal_stamps_longer_than_a_page(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    """An import stamps all its records alike; the locator is lost on the way."""
    salesforce.page_rows = 4
    _accounts(org, 30)
    org.tick(_HOUR)
    salesforce.on_request = lambda call: salesforce.forget_cursors() if len(salesforce.calls) in (9, 12) else None
    assert pull("Account")["inserted"] == 30
    check_truth(warehouse, org, "Account")


def test_records_that_change_during_the_scan(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    """Each query is answered from the middle of somebody's work: nothing is missed, and nothing gets a tombstone."""
    ids = _accounts(org, 20)
    salesforce.page_rows = 3
    salesforce.partial = lambda rows: 1 + len(salesforce.calls) % rows

    def work(call: Call) -> None:
        org.tick()
        org.update("Account", ids[len(salesforce.calls) % 20], Name=f"changed by {len(salesforce.calls)}")
        if len(salesforce.calls) % 4 == 0:
            _accounts(org, 2)

    org.tick(_HOUR)
    salesforce.on_request = work
    pull("Account")
    salesforce.on_request = lambda call: None
    org.tick(_HOUR)
    pull("Account")
    check_truth(warehouse, org, "Account")


@pytest.mark.parametrize("bulk_rows", [0, 1_000])
def test_a_scan_makes_no_tombstone_of_what_moved_on(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse, bulk_rows: int
) -> None:
    """The last record changes before its page, or its job, comes to it: it has left the window, and not the org."""
    ids = _accounts(org, 9)
    org.tick(_HOUR)
    pull("Account")
    salesforce.page_rows = 3

    def work(call: Call) -> None:
        if call.path.endswith("-3") or call.method == "POST":
            org.tick()
            org.update("Account", ids[8], Name="moved on")
            salesforce.forget_cursors()

    salesforce.on_request = work
    pull("Account", request={"mode": "full"}, salesforce_bulk_rows=bulk_rows)
    check_truth(warehouse, org, "Account")


def test_a_changed_record_is_no_place_to_go_on_from(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    """It comes in the middle with a stamp of today; then the locator is lost."""
    ids = _accounts(org, 12)
    org.tick(_HOUR)
    salesforce.page_rows = 3

    def work(call: Call) -> None:
        if call.path.endswith("-3"):
            org.update("Account", ids[4], Name="changed")
        elif call.path.endswith("-6"):
            salesforce.forget_cursors()

    salesforce.on_request = work
    assert pull("Account")["inserted"] == 12
    check_truth(warehouse, org, "Account")


def test_formula_fields_are_read_whole_now_and_then(pull: SalesforceSync, org: Org, query: Query) -> None:
    [id] = _accounts(org, 1)
    org.set_silently("Account", id, Score__c=1.0)
    org.tick(_HOUR)
    pull("Account")
    org.set_silently("Account", id, Score__c=2.0)

    def score() -> Any:
        [(extra,)] = query("select extra from raw.salesforce_accounts")
        return json.loads(extra)["Score__c"]

    org.tick(days=6)
    assert _notes(pull("Account")) == [] and score() == "1"
    org.tick(days=2)
    assert "formula fields" in _notes(pull("Account"))[0] and score() == "2"
    org.tick(days=1)
    assert _notes(pull("Account")) == []


def test_a_new_field_is_read_for_old_records_too(pull: SalesforceSync, org: Org, query: Query) -> None:
    """Its default moves no SystemModstamp."""
    [id] = _accounts(org, 1)
    pull("Account")
    org.tick(_HOUR)
    org.add_field("Account", FakeField("Region__c"))
    org.set_silently("Account", id, Region__c="EMEA")
    org.tick(_HOUR)
    result = pull("Account")
    assert "new fields" in _notes(result)[0] and "Region__c" in _notes(result)[0]
    assert [(one["field"], one["change"]) for one in result["schema_changes"]] == [("Region__c", "added")]
    assert query("select extra from raw.salesforce_accounts") == [('{"Region__c":"EMEA"}',)]


@pytest.mark.parametrize("bulk_rows", [0, 1_000])
def test_a_field_that_goes_away_during_the_scan(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse, bulk_rows: int
) -> None:
    _accounts(org, 8)
    org.tick(_HOUR)
    salesforce.page_rows = 3

    def work(call: Call) -> None:
        if "count()" in call.params.get("q", ""):
            org.remove_field("Account", "Fleet_Size__c")

    salesforce.on_request = work
    assert pull("Account", salesforce_bulk_rows=bulk_rows)["inserted"] == 8
    check_truth(warehouse, org, "Account")


@pytest.mark.parametrize("loss", ["the log is cut short", "three weeks pass"])
def test_what_the_delete_log_has_forgotten(pull: SalesforceSync, org: Org, warehouse: Warehouse, loss: str) -> None:
    ids = _accounts(org, 4)
    pull("Account")
    org.tick(_HOUR)
    org.purge("Account", ids[2])
    org.delete("Account", ids[3])
    if loss == "three weeks pass":
        org.tick(days=21)
    else:
        org.forget_deletions("Account")
    org.tick(_HOUR)
    assert "read whole" in _notes(pull("Account"))[0]
    check_truth(warehouse, org, "Account")


def test_a_full_sync_finds_what_was_purged(pull: SalesforceSync, org: Org, warehouse: Warehouse) -> None:
    ids = _accounts(org, 5)
    pull("Account")
    org.purge("Account", ids[0])
    org.forget_deletions("Account")
    org.tick(_HOUR)
    assert pull("Account", request={"mode": "full"})["deleted"] == 1
    check_truth(warehouse, org, "Account")


def test_single_records(pull: SalesforceSync, org: Org, query: Query) -> None:
    """A webhook's: the record, what was merged into it, what belongs to it; what is gone becomes a tombstone."""
    first, second, third, other = _accounts(org, 4)
    deal = org.insert("Opportunity", AccountId=first, StageName="New")
    roles = [org.insert("OpportunityContactRole", OpportunityId=deal, Role=role) for role in ("Buyer", "User")]
    pull()
    org.tick(_HOUR)
    org.merge("Account", first, second)
    org.purge("Account", third)
    org.update("Account", other, Name="not asked for")
    org.delete("OpportunityContactRole", roles[0])
    org.update("Opportunity", deal, StageName="Won")
    asked = {"Account": [second[:15], third], "Opportunity": [deal]}
    pull(options={"records": asked})
    rows = {id: (gone, name) for id, gone, name in query("select id, is_deleted, name from raw.salesforce_accounts")}
    assert {id: gone for id, (gone, _) in rows.items()} == {first: False, second: True, third: True, other: False}
    assert rows[other][1] == "Account 3"
    assert query("select stage_name from raw.salesforce_opportunities") == [("Won",)]
    assert query("select count(*) from raw.salesforce_opportunity_history") == [(2,)]
    deleted = query("select id from raw.salesforce_opportunity_contact_roles where is_deleted")
    assert deleted == [(roles[0],)]
    org.tick(_HOUR)
    assert pull("Account")["changed"] == 1, "the bookmark is where it was"


def test_backfill_moves_no_bookmark(pull: SalesforceSync, org: Org, query: Query) -> None:
    since = org.now
    _accounts(org, 2)
    org.tick(_HOUR)
    until = org.now
    _accounts(org, 3)
    org.tick(_HOUR)
    window = {"since": since.isoformat(), "until": until.isoformat()}
    assert pull("Account", options=window)["inserted"] == 2
    assert pull("Account", options=window)["unchanged"] == 2
    assert pull("Account")["inserted"] == 3
