"""HubSpot's CRM endpoints, one method each, their answers checked. Paths below are of
developers.hubspot.com/docs/api-reference unless they say otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from services.ingest.adapters.crm_http import CrmClient
from services.ingest.domain.hubspot.rows import SHAPE_ERRORS
from shared.errors import TransientError

GENERAL: Final = "hubspot"
SEARCH: Final = "hubspot-search"
# latest/crm/search-the-crm: five searches a second for the account, in no header of any answer; 200 results a page.
SEARCHES_PER_SECOND: Final = 5
SEARCH_PAGE: Final = 200
LIST_PAGE: Final = 100
# A batch or page with history holds half: "maximum number of inputs ... for property histories is 50" (PipedreamHQ
# pipedream pull request 8462).
HISTORY_PAGE: Final = 50
# Addresses that are too long are refused; how long is nowhere said. Airbyte sends up to 15,000 characters of
# properties, dlt 2,000 (dlt-hub/verified-sources issues 305 and 600): in between, and what is longer goes by POST.
LONGEST_QUERY: Final = 4_000
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.2

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """`after` is None on the last one."""

    results: list[Any]
    after: str | None


@dataclass(frozen=True)
class Found:
    """Ids that a search found, ascending. `is_last`: it says that there are no more."""

    ids: list[str]
    is_last: bool


@dataclass(frozen=True)
class Fields:
    """What is asked of each record."""

    properties: tuple[str, ...]
    history: str | None = None

    @property
    def fits_query(self) -> bool:
        """Short enough for an address; each comma is written as three characters."""
        return sum(len(name) + 3 for name in self.properties) <= LONGEST_QUERY

    @property
    def page(self) -> int:
        """Records of one page or batch."""
        return HISTORY_PAGE if self.history else LIST_PAGE

    def to_query(self) -> dict[str, str]:
        """Parameters of a list call."""
        history = {"propertiesWithHistory": self.history} if self.history else {}
        return {"properties": ",".join(self.properties), "limit": str(self.page), **history}

    def to_body(self, ids: Sequence[str], by: str | None = None) -> dict[str, Any]:
        """Of a batch read of records by id, or by another property that names one record."""
        history = {"propertiesWithHistory": [self.history]} if self.history else {}
        key = {"idProperty": by} if by else {}
        return {"properties": list(self.properties), "inputs": [{"id": one} for one in ids], **history, **key}


class CrmApi:
    """CRM objects, their associations and properties. Raises what `CrmClient` raises."""

    def __init__(self, client: CrmClient, pause: Callable[[float], None]) -> None:
        self.client = client
        self._pause = pause

    def get_page(self, path: str, params: Mapping[str, str], *, member: str = "results", needs: str = "") -> Page:
        """One page: `results` and `paging.next.after`, or another member with `hasMore` and `offset`. A page that leads
        to itself is none, nor is one with an entry that lacks what it `needs`."""
        asked = params.get("after", params.get("offset"))

        def read() -> Page | None:
            answer = self.client.get(path, params=params, budget=GENERAL)
            results = read_results(answer, member)
            if results is None or (needs and not all(one[needs] for one in results)):
                return None
            after = read_after(answer) if member == "results" else _offset(answer)
            return None if after is not None and after == asked else Page(results, after)

        return self.insist(path, read)

    def list_properties(self, kind: str) -> list[dict[str, Any]]:
        """legacy/crm/properties/get-properties: all at once."""
        return self.get_page(f"/crm/v3/properties/{kind}", {}, needs="name").results

    def list_records(self, kind: str, fields: Fields, after: str | None, *, archived: bool = False) -> Page:
        """legacy/crm/objects/objects/get-objects; `archived`: those in the bin, where a record stays for 90 days."""
        params = {**fields.to_query(), "archived": str(archived).lower(), **({"after": after} if after else {})}
        return self.get_page(f"/crm/v3/objects/{kind}", params)

    def search_changed(
        self,
        kind: str,
        modified: str,
        since: datetime | None,
        until: datetime | None,
        after: str,
    ) -> Found:
        """Ids above `after` of records that changed since, ascending. latest/crm/search-the-crm.

        Never the search's own paging: it ends at 10,000 results with status 400, and its pages shift while records
        change; a record's id doesn't. Ids alone, because a body may have 3,000 characters and the index lags behind
        the records. Moments are compared as epoch milliseconds.
        """
        moments = {"GTE": since, "LT": until}
        filters = [
            {"propertyName": modified, "operator": operator, "value": to_milliseconds(moment)}
            for operator, moment in moments.items()
            if moment is not None
        ]
        filters.append({"propertyName": "hs_object_id", "operator": "GT", "value": after})
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": [modified],
            "limit": SEARCH_PAGE,
        }
        path = f"/crm/v3/objects/{kind}/search"

        def read() -> Found | None:
            answer = self.client.post(path, json=body, budget=SEARCH)
            results = read_results(answer)
            if results is None or not isinstance(answer.get("total"), int):
                return None
            ids = [str(one.get("id")) for one in results if isinstance(one, dict)]
            # Out of order (seen with a sort that was ignored: HubSpot/hubspot-api-ruby issue 257) or a page once more.
            if not all(one.isdigit() for one in ids) or ids != sorted(set(ids), key=int):
                return None
            if (ids and int(ids[0]) <= int(after)) or (not ids and answer["total"] > 0):
                return None
            return Found(ids, len(ids) >= answer["total"])

        return self.insist(path, read)

    def wait_a_little(self) -> None:
        """Before the same is asked again."""
        self._pause(_PAUSE_SECONDS)

    def insist(self, path: str, read: Callable[[], T | None]) -> T:
        """Ask again where the answer is None or has another shape than is read: status 200 and not what the
        documentation promises."""
        shape = ""
        for attempt in range(_TRIES):
            try:
                answer = read()
            except SHAPE_ERRORS as error:
                answer, shape = None, f" The last one: {type(error).__name__}."
            if answer is not None:
                return answer
            self._pause(_PAUSE_SECONDS * attempt)
        raise TransientError(
            f"hubspot answered {path} {_TRIES} times with a malformed page: without its results, out of order, the "
            f"same page again, or without records that it was asked for.{shape} The job is tried again and goes on "
            "there.",
            code="crm-unavailable",
            title="The CRM is unavailable",
            source="hubspot",
        )


def read_results(answer: Any, member: str = "results") -> list[Any] | None:
    """The list that every page and batch has; None where it has none."""
    results = answer.get(member) if isinstance(answer, dict) else None
    return results if isinstance(results, list) else None


def read_after(answer: Mapping[str, Any]) -> str | None:
    """Where the next page begins."""
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def _offset(answer: Mapping[str, Any]) -> str | None:
    return str(answer["offset"]) if answer.get("hasMore") else None


def to_milliseconds(moment: datetime) -> str:
    """Epoch milliseconds."""
    return str(int(moment.timestamp() * 1000))
