"""Records that leave: archived, restored, merged, purged, or asked for one by one."""

from tests.fakes.hubspot import FakeHubSpot
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot

CONTACTS = "select id, is_deleted from raw.hubspot_contacts order by id"


def test_archived_record_becomes_deleted_and_restored_one_alive(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    portal = hubspot.portal
    deal, company = portal.create("deals", dealstage="new"), portal.create("companies")
    portal.link("deals", deal.id, "companies", company.id)
    state = "select d.is_deleted, c.is_deleted, h.is_deleted from raw.hubspot_deals d, raw.hubspot_deal_companies c,"
    state += " raw.hubspot_deal_stage_history h"
    for change, is_deleted in ((None, False), (portal.archive, True), (portal.restore, False)):
        portal.now += 1_000_000
        if change is not None:
            change("deals", deal.id)
        sync_hubspot(objects=["deals"])
        assert query(state) == [(is_deleted,) * 3]


def test_record_that_lived_between_two_syncs_lands_as_deleted(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    sync_hubspot(objects=["contacts"])
    contact = hubspot.portal.create("contacts", email="short@x.example")
    hubspot.portal.archive("contacts", contact.id)
    sync_hubspot(objects=["contacts"])
    assert query("select email, is_deleted from raw.hubspot_contacts") == [("short@x.example", True)]


def test_merge_makes_a_third_record_and_the_two_are_gone(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    portal = hubspot.portal
    ids = [portal.create("contacts", email=f"{name}@x.example").id for name in "abc"]
    sync_hubspot(objects=["contacts"])
    portal.now += 600_000
    first = portal.merge("contacts", ids[0], ids[1])
    portal.now += 600_000
    last = portal.merge("contacts", first.id, ids[2])
    merged_at = str(portal.now)
    sync_hubspot(objects=["contacts"])
    assert query(CONTACTS) == [*((str(one), True) for one in ids), (str(last.id), False)]
    merges = "select surviving_id, merged_id, merged_at from raw.hubspot_contact_merges where not is_deleted order by 2"
    assert query(merges) == [
        (str(last.id), str(ids[0]), None),  # of the earlier merge HubSpot keeps the id alone
        (str(last.id), str(ids[1]), None),
        (str(last.id), str(ids[2]), merged_at),
        (str(last.id), str(first.id), merged_at),
    ]


def test_merged_records_are_gone_also_when_their_survivor_is(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    """Found by `make crm-truth`: the survivor was archived before any sync saw it alive."""
    portal = hubspot.portal
    ids = [portal.create("contacts", email=f"{name}@x.example").id for name in "ab"]
    sync_hubspot(objects=["contacts"])
    portal.now += 600_000
    portal.archive("contacts", portal.merge("contacts", *ids).id)
    sync_hubspot(objects=["contacts"])
    assert {is_deleted for _, is_deleted in query(CONTACTS)} == {True}


def test_record_that_left_without_a_word_is_found_by_a_full_sync(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    one, other = (hubspot.portal.create("contacts").id for _ in range(2))
    sync_hubspot(objects=["contacts"])
    hubspot.portal.purge("contacts", one)
    sync_hubspot(objects=["contacts"])
    assert query(CONTACTS) == [(str(one), False), (str(other), False)]
    sync_hubspot(objects=["contacts"], mode="full")
    assert query(CONTACTS) == [(str(one), True), (str(other), False)]


def test_named_records_are_read_alone(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query) -> None:
    """As a webhook asks: changed, archived and merged ones."""
    portal = hubspot.portal
    changed, archived, first, second, other = (portal.create("contacts", email="a@x.example").id for _ in range(5))
    sync_hubspot(objects=["contacts"])
    portal.now += 600_000
    portal.update("contacts", [changed, other], email="b@x.example")
    portal.archive("contacts", archived)
    survivor = portal.merge("contacts", first, second).id
    asked = [str(one) for one in (changed, archived, first)]
    before = len(hubspot.requests)
    sync_hubspot(records={"contacts": asked})
    assert len(hubspot.requests) - before == 3
    assert query("select id, email, is_deleted from raw.hubspot_contacts order by id") == [
        (str(changed), "b@x.example", False),
        (str(archived), "a@x.example", True),
        (str(first), "a@x.example", True),
        (str(second), "a@x.example", True),
        (str(other), "a@x.example", False),
        (str(survivor), "a@x.example", False),
    ]
    sync_hubspot(objects=["contacts"])
    assert query(f"select email from raw.hubspot_contacts where id = '{other}'") == [("b@x.example",)]
