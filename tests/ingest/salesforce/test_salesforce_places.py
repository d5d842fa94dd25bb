"""Going on: after a kill, with the query job that was there, below the quota."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.ingest.domain.sources import Checkpoint
from shared.errors import TerminalError, TransientError
from shared.warehouse import Warehouse
from tests.fakes.salesforce import Call, FakeSalesforce
from tests.fakes.salesforce_org import Org
from tests.fakes.salesforce_rest import error
from tests.ingest.salesforce.conftest import SalesforceSync, check_truth
from tests.ingest.salesforce.weather import Killed
from tests.source_states import MemoryStates

_EACH_PAGE = {"segment_rows": 1, "crm_lookback_seconds": 0}


def _accounts(org: Org, count: int) -> None:
    for number in range(count):
        org.insert("Account", Name=f"Account {number}")
        org.tick()


def _results(salesforce: FakeSalesforce) -> list[str]:
    return [call.params.get("locator", "") for call in salesforce.calls if call.path.endswith("/results")]


@pytest.mark.parametrize("same_job", [True, False])
def test_rest_goes_on_after_the_last_landed_page(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse, same_job: bool
) -> None:
    _accounts(org, 30)
    salesforce.page_rows = 5
    salesforce.faults = lambda call: error(500, "UNKNOWN_EXCEPTION", "no") if call.path.endswith("-20") else None
    with pytest.raises(TransientError):
        pull("Account", job_id="first", **_EACH_PAGE)
    salesforce.faults = lambda call: None
    result = pull("Account", job_id="first" if same_job else "second", **_EACH_PAGE)
    assert result["inserted"] == (30 if same_job else 10), "a job's counts are those of all its attempts"
    check_truth(warehouse, org, "Account")


def test_bulk_goes_on_with_its_job(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    _accounts(org, 30)
    salesforce.bulk.page_rows = 5
    salesforce.faults = lambda call: error(500, "UNKNOWN_EXCEPTION", "no") if len(_results(salesforce)) > 4 else None
    with pytest.raises(TransientError):
        pull("Account", job_id="first", salesforce_bulk_rows=10, **_EACH_PAGE)
    assert len(salesforce.bulk.jobs) == 1
    salesforce.faults = lambda call: None
    before = len(_results(salesforce))
    assert pull("Account", job_id="first", salesforce_bulk_rows=10, **_EACH_PAGE)["inserted"] == 30
    assert len(_results(salesforce)) - before == 2, "pages that had landed are not read again"
    check_truth(warehouse, org, "Account")


def test_a_sync_that_dies_after_the_last_page_has_its_query_job_still(
    pull: SalesforceSync,
    org: Org,
    salesforce: FakeSalesforce,
    warehouse: Warehouse,
    states: MemoryStates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _accounts(org, 30)
    salesforce.bulk.page_rows = 5
    keep = states.put_cursors

    def put_cursors(source: str, checkpoints: Mapping[str, Checkpoint], **named: Any) -> None:
        if any(one.cursor["phase"] not in ("rows", "bulk") for one in checkpoints.values()):
            raise Killed
        keep(source, checkpoints, **named)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(states, "put_cursors", put_cursors)
        pull("Account", job_id="first", salesforce_bulk_rows=10, **_EACH_PAGE)
    before = len(_results(salesforce))
    pull("Account", job_id="first", salesforce_bulk_rows=10, **_EACH_PAGE)
    assert sum(call.method == "POST" and call.is_data for call in salesforce.calls) == 1
    assert len(_results(salesforce)) - before == 1
    check_truth(warehouse, org, "Account")


def test_what_came_late_goes_on_after_the_last_landed_page(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    _accounts(org, 20)
    org.tick(60)
    salesforce.page_rows = 4
    busy, late = iter([True]), []

    def work(call: Call) -> None:
        soql = call.params.get("q", "")
        if "order by" in soql and next(busy, False):
            for id in org.alive("Account"):
                org.tick()
                org.update("Account", id, Name="changed")
            org.tick(60)
        if "order by" in soql and f"{org_field} <" not in soql:
            late.append(soql)

    org_field = "SystemModstamp"
    salesforce.on_request = work
    salesforce.faults = lambda call: (
        error(500, "UNKNOWN_EXCEPTION", "no") if late and call.path.endswith("-8") else None
    )
    with pytest.raises(TransientError):
        pull("Account", job_id="first", **_EACH_PAGE)
    salesforce.faults = lambda call: None
    pull("Account", job_id="first", **_EACH_PAGE)
    assert ["Id > '" in soql for soql in late] == [False, True], "pages that had landed are not read again"
    check_truth(warehouse, org, "Account")


def test_a_lost_query_job_is_made_again(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    _accounts(org, 20)
    salesforce.bulk.page_rows = 5

    def lose(call: Call) -> None:
        if call.path.endswith("/results") and len(_results(salesforce)) == 3:
            salesforce.bulk.jobs.clear()

    salesforce.on_request = lose
    assert pull("Account", salesforce_bulk_rows=10)["inserted"] == 20
    check_truth(warehouse, org, "Account")


def test_a_query_job_that_fails_says_why(pull: SalesforceSync, org: Org, salesforce: FakeSalesforce) -> None:
    _accounts(org, 20)
    salesforce.bulk.fails_with = "Retried more than fifteen times"
    with pytest.raises(TransientError, match="Retried more than fifteen times"):
        pull("Account", salesforce_bulk_rows=10)


def test_bulk_without_headers_after_the_first_page(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, warehouse: Warehouse
) -> None:
    _accounts(org, 20)
    salesforce.bulk.page_rows = 5
    salesforce.bulk.repeats_header = False
    assert pull("Account", salesforce_bulk_rows=10)["inserted"] == 20
    check_truth(warehouse, org, "Account")


def test_objects_that_bulk_refuses_are_read_by_rest(pull: SalesforceSync, org: Org, salesforce: FakeSalesforce) -> None:
    _accounts(org, 20)
    refusal = error(400, "INVALIDENTITY", "Entity 'Account' is not supported by the Bulk API.")
    salesforce.faults = lambda call: refusal if call.method == "POST" and call.is_data else None
    result = pull("Account", salesforce_bulk_rows=10)
    assert result["inserted"] == 20 and "is read by REST" in result["notes"][0]


@pytest.mark.parametrize(
    ("used", "changed", "named"),
    [
        (800, {}, "GTM_SALESFORCE_QUOTA_PERCENT_TOTAL"),
        (0, {"salesforce_quota_percent_per_run": 0.6}, "GTM_SALESFORCE_QUOTA_PERCENT_PER_RUN"),
    ],
)
def test_the_quota_stops_a_sync_which_goes_on_next_time(
    pull: SalesforceSync,
    org: Org,
    salesforce: FakeSalesforce,
    warehouse: Warehouse,
    used: int,
    changed: dict[str, Any],
    named: str,
) -> None:
    _accounts(org, 20)
    salesforce.page_rows, salesforce.daily_calls, salesforce.used_calls = 5, 1_000, max(0, used - 6)
    with pytest.raises(TerminalError, match=named) as caught:
        pull("Account", job_id="first", **_EACH_PAGE, **changed)
    assert caught.value.code == "crm-quota-reached"
    spent = salesforce.used_calls
    assert spent == 800 or (used == 0 and spent == 6)
    salesforce.used_calls = 0
    result = pull("Account", job_id="second", **_EACH_PAGE)
    assert 0 < result["inserted"] < 20
    check_truth(warehouse, org, "Account")


@pytest.mark.parametrize("same_job", [True, False])
def test_the_share_of_the_quota_is_that_of_all_attempts(
    pull: SalesforceSync, org: Org, salesforce: FakeSalesforce, same_job: bool
) -> None:
    _accounts(org, 40)
    salesforce.page_rows, salesforce.daily_calls = 4, 1_000
    share = {"salesforce_quota_percent_per_run": 1.6, **_EACH_PAGE}
    salesforce.faults = lambda call: error(500, "UNKNOWN_EXCEPTION", "no") if call.path.endswith("-20") else None
    with pytest.raises(TransientError):
        pull("Account", job_id="first", **share)
    salesforce.faults = lambda call: None
    if not same_job:
        pull("Account", job_id="second", **share)
        return
    with pytest.raises(TerminalError, match="GTM_SALESFORCE_QUOTA_PERCENT_PER_RUN") as caught:
        pull("Account", job_id="first", **share)
    assert caught.value.code == "crm-quota-reached"


def test_a_spent_quota_is_told_by_salesforce(pull: SalesforceSync, salesforce: FakeSalesforce) -> None:
    salesforce.daily_calls = salesforce.used_calls = 100
    with pytest.raises(TerminalError, match="TotalRequests Limit exceeded") as caught:
        pull("Account")
    assert caught.value.code == "crm-quota-reached"
