"""Salesforce's REST API as the readers need it: one method per resource, each within the quota."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

import httpx

from services.ingest.adapters.crm_http import Authenticate, CrmClient, Patience
from services.ingest.adapters.rate_budget import RateBudget
from services.ingest.adapters.salesforce.quota import QuotaGuard
from services.ingest.domain.crm_answers import read_date
from services.ingest.domain.salesforce.sobjects import Description, parse_description
from services.ingest.domain.salesforce.soql import to_moment, to_stamp
from services.ingest.domain.sources import SyncRun
from shared.errors import GtmError, TerminalError, TransientError

_BUDGET: Final = "salesforce"
_LOST_LOCATOR: Final = "INVALID_QUERY_LOCATOR"
_LOG_GONE: Final = frozenset({"INVALID_REPLICATION_DATE", "EXCEEDED_ID_LIMIT"})
_UNKNOWN_FIELD: Final = frozenset({"INVALID_FIELD"})


@dataclass(frozen=True)
class Deletions:
    """What the delete log tells of a span, which it covers up to `until`."""

    ids: tuple[str, ...]
    until: str


class LocatorLost(Exception):
    """The rest of a query's pages can't be had: a locator lives two days, and a user has a few."""


def is_too_slow(error: GtmError) -> bool:
    """The statement takes longer than REST's two minutes."""
    return "QUERY_TIMEOUT" in error.extensions.get("crm_codes", ())


def is_unknown_field(error: GtmError) -> bool:
    """The statement names a field that was there when the object was described."""
    return not _UNKNOWN_FIELD.isdisjoint(error.extensions.get("crm_codes", ()))


class SalesforceApi:
    """Calls to one org. Every method raises as `CrmClient.call`, and `crm-quota-reached` before a call too many."""

    def __init__(
        self,
        base_url: str,
        authenticate: Authenticate,
        *,
        budget: RateBudget,
        quota: QuotaGuard,
        version: str,
        run: SyncRun,
        patience: Patience,
    ) -> None:
        self._client = CrmClient(
            base_url,
            authenticate=authenticate,
            budgets={_BUDGET: budget},
            source="salesforce",
            run=run,
            patience=patience,
            observe=self._observe,
        )
        self._quota = quota
        self._root = f"/services/data/v{version}"
        self._date: datetime | None = None

    @property
    def now(self) -> datetime:
        """The server's clock at its last answer, to the second: what changes later is stamped no earlier."""
        return self._date or datetime.now(UTC)

    @property
    def spent(self) -> int:
        """Requests of the job, all of its attempts together."""
        return self._quota.spent

    def read_limits(self) -> Mapping[str, Any]:
        """REST guide, "Limits"; tells the guard."""
        limits = self.call("GET", "/limits")
        with as_documented("limits"):
            daily = limits.get("DailyApiRequests", {})
            if "Max" in daily and "Remaining" in daily:
                self._quota.set_limit(int(daily["Max"]), int(daily["Max"]) - int(daily["Remaining"]))
            return dict(limits)

    def describe(self, sobject: str) -> Description:
        """Raises TerminalError `crm-scope-missing` for an object that the user may not see: it looks like none."""
        try:
            return parse_description(self.call("GET", f"/sobjects/{sobject}/describe"), sobject)
        except (TerminalError, ValueError) as error:
            if isinstance(error, TerminalError) and error.code not in ("crm-not-found", "crm-scope-missing"):
                raise
            raise TerminalError(
                f"Salesforce shows the integration user no object {sobject} ({error}): the org doesn't have it, or the "
                "user may not read it. Grant Read on it and on its fields by a permission set, or leave it out: name "
                "the others in options.objects.",
                code="crm-scope-missing",
                title="The CRM denies access",
                source="salesforce",
                scopes=[sobject],
            ) from None

    def count(self, soql: str) -> int:
        """Of a count() statement, deleted ones included."""
        answer = self.call("GET", "/queryAll", {"q": soql})
        with as_documented("a count"):
            return int(answer["totalSize"])

    def pages(self, soql: str) -> Iterator[list[Any]]:
        """The records, deleted ones included, as they come: at most 2,000 a page, fewer where they are wide.

        Raises:
            LocatorLost: begin anew from the last record.
        """
        page = self._page(self.call("GET", "/queryAll", {"q": soql}))
        yield page["records"]
        while not page["done"]:
            path = str(page["nextRecordsUrl"])
            try:
                page = self._page(self._call("GET", path))
            except TerminalError as error:
                if _LOST_LOCATOR in error.extensions.get("crm_codes", ()) or error.code == "crm-not-found":
                    raise LocatorLost from None
                raise
            yield page["records"]

    def deletions(self, sobject: str, start: str, end: str) -> Deletions | None:
        """Of the delete log (REST guide, "sObject Get Deleted"); None where it doesn't go back that far."""
        span = {"start": _to_parameter(start), "end": _to_parameter(end)}
        try:
            answer = self.call("GET", f"/sobjects/{sobject}/deleted", span)
        except TerminalError as error:
            if _LOG_GONE.isdisjoint(error.extensions.get("crm_codes", ())):
                raise
            return None
        with as_documented("a delete log"):
            ids = tuple(dict.fromkeys(str(one["id"]) for one in answer["deletedRecords"]))
            if to_moment(answer["earliestDateAvailable"]) > to_moment(start):
                return None
            return Deletions(ids, to_stamp(to_moment(answer["latestDateCovered"])))

    def call(self, method: str, path: str, params: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        """A resource below the version's root."""
        return self._call(method, self._root + path, params, json)

    def download(self, path: str, into: BinaryIO, params: Mapping[str, Any]) -> httpx.Headers:
        """A page of CSV."""
        self._quota.check()
        return self._client.download(self._root + path, into, params=params, accept="text/csv", budget=_BUDGET)

    def close(self) -> None:
        self._client.close()

    def _observe(self, headers: httpx.Headers) -> None:
        self._quota.observe(headers)
        self._date = read_date(headers.get("date", "")) or self._date

    def _call(self, method: str, path: str, params: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        self._quota.check()
        return self._client.call(method, path, params=params, json=json, budget=_BUDGET)

    def _page(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict) or not isinstance(answer.get("records"), list) or "done" not in answer:
            raise malformed_page("a page of records without `records` or `done`")
        if not answer["done"] and not str(answer.get("nextRecordsUrl", "")).startswith(self._root):
            raise malformed_page("a page of records that isn't the last one and names no next one")
        return answer


def malformed_page(what: str) -> TransientError:
    """What came is no page. The job is tried again."""
    return TransientError(
        f"Salesforce answered with a malformed page: {what}. The job is tried again and goes on where it was.",
        code="crm-unavailable",
        title="The CRM is unavailable",
        source="salesforce",
    )


@contextmanager
def as_documented(what: str) -> Iterator[None]:
    """For reading an answer: what has another shape than the guide says is malformed."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed_page(f"{what} of another shape than documented ({type(error).__name__})") from None


def _to_parameter(stamp: str) -> str:
    return to_moment(stamp).strftime("%Y-%m-%dT%H:%M:%S+00:00")
