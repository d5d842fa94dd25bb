"""HubSpot's CRM endpoints over a `Portal`: objects v3 (list, batch read, search), associations v4, properties v3.

Limits and shapes as developers.hubspot.com/docs/api-reference has them: 100 a page, 50 with history, 200 a search
page, 10,000 results and 3,000 characters a search, 1,000 ids an associations read, 207 with `errors` for ids that
aren't there.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from tests.fakes.hubspot_portal import MODIFIED, Portal, Record, to_iso

SEARCH_CAP = 10_000
SEARCH_CHARACTERS = 3_000


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, category: str = "VALIDATION_ERROR", **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"status": "error", "message": message, "correlationId": "fake", "category": category, **more}


class CrmEndpoints:
    """Answers as Python values; `page_share` < 1 makes pages and batches come partly filled."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.most_links = 500
        self.page_share: Callable[[], float] = lambda: 1.0

    def list_objects(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        """GET /crm/v3/objects/{kind}: by id; `after` is the last one's."""
        history = _names(query.get("propertiesWithHistory"))
        limit = int(query.get("limit", "10"))
        if not 1 <= limit <= (50 if history else 100):
            raise Refused(400, f"limit of {limit} is not between 1 and {50 if history else 100}")
        wants_archived = query.get("archived") == "true"
        found: list[Record] = []
        order, most = self.portal.order[kind], self._most(limit)
        for one in order[bisect_right(order, int(query.get("after", "0"))) :]:
            record = self.portal.objects[kind].get(one)
            if record is not None and (record.archived_at is not None) == wants_archived:
                found.append(record)
                if len(found) > most:
                    break
        names = _names(query.get("properties"))
        results = [self._object(kind, record, names, history) for record in found[:most]]
        more = {"paging": {"next": {"after": str(found[most - 1].id), "link": ""}}} if len(found) > most else {}
        return {"results": results, **more}

    def read_batch(self, kind: str, body: dict[str, Any], archived: bool = False) -> tuple[int, dict[str, Any]]:
        """POST /crm/v3/objects/{kind}/batch/read: old ids of merged records lead to the survivor."""
        inputs, history = body["inputs"], body.get("propertiesWithHistory", [])
        most = 50 if history else 100
        if len(inputs) > most:
            raise Refused(400, f"The maximum number of inputs supported in a batch request is {most}")
        results: dict[int, dict[str, Any]] = {}
        missing: list[str] = []
        for entry in inputs[: self._most(len(inputs))]:
            record = self._find(kind, str(entry["id"]), body.get("idProperty"), archived)
            if record is None:
                missing.append(str(entry["id"]))
            else:
                results[record.id] = self._object(kind, record, body.get("properties", []), history)
        return _batch(list(results.values()), _not_found(kind, missing))

    def search(self, kind: str, body: dict[str, Any], text: str) -> dict[str, Any]:
        """POST /crm/v3/objects/{kind}/search: what the index of `index_lag_ms` ago says, without archived records."""
        if len(text) > SEARCH_CHARACTERS:
            raise Refused(400, f"The request body is longer than {SEARCH_CHARACTERS} characters")
        limit, after = body.get("limit", 10), int(body.get("after", 0))
        if not 1 <= limit <= 200:
            raise Refused(400, "limit must be between 1 and 200")
        if after + limit > SEARCH_CAP:
            raise Refused(400, f"paging through results cannot exceed {SEARCH_CAP}")
        found = list(self._matches(kind, body.get("filterGroups", [])))
        for sort in reversed(body.get("sorts", [])):
            name = sort["propertyName"]
            found.sort(key=lambda entry: _value(entry[1], name), reverse=sort.get("direction") == "DESCENDING")
        page = found[after : after + self._most(limit)]
        results = [
            {
                "id": str(record.id),
                "properties": _chosen({**properties}, body.get("properties", []), kind),
                "createdAt": to_iso(record.created),
                "updatedAt": properties[MODIFIED[kind]],
                "archived": False,
            }
            for record, properties in page
        ]
        more = {"paging": {"next": {"after": str(after + len(page))}}} if after + len(page) < len(found) else {}
        return {"total": len(found), "results": results, **more}

    def read_associations(self, near: str, far: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST /crm/v4/associations/{near}/{far}/batch/read: `after` of an input pages one record's associations."""
        if len(body["inputs"]) > 1000:
            raise Refused(400, "The maximum number of inputs is 1000")
        results, missing = [], []
        for entry in body["inputs"][: self._most(len(body["inputs"]))]:
            one = int(entry["id"])
            record = self.portal.objects[near].get(one)
            ends = self.portal.linked(near, one, far) if record is not None and record.archived_at is None else {}
            left = [other for other in ends if other > int(entry.get("after", 0))]
            if not left:
                missing.append(str(one))
                continue
            page = left[: self.most_links]
            result: dict[str, Any] = {"from": {"id": str(one)}, "to": [_link(other, ends[other]) for other in page]}
            if len(left) > len(page):
                result["paging"] = {"next": {"after": str(page[-1]), "link": ""}}
            results.append(result)
        return _batch(results, _no_associations(near, far, missing))

    def list_properties(self, kind: str) -> dict[str, Any]:
        """GET /crm/v3/properties/{kind}: all at once."""
        return {
            "results": [
                {
                    "name": one.name,
                    "label": one.name.title(),
                    "type": one.type,
                    "fieldType": one.field_type,
                    "calculated": one.calculated,
                    "archived": False,
                }
                for one in self.portal.properties[kind].values()
            ]
        }

    def _most(self, limit: int) -> int:
        return max(1, int(limit * self.page_share()))

    def _find(self, kind: str, key: str, by: str | None, archived: bool) -> Record | None:
        if by is not None:
            alive = (self.portal.objects[kind][one] for one in self.portal.alive(kind))
            return next((one for one in alive if (one.properties.get(by) or "").lower() == key.lower()), None)
        one = int(key)
        record = self.portal.objects[kind].get(self.portal.merged[kind].get(one, one))
        return record if record is not None and (record.archived_at is not None) == archived else None

    def _matches(self, kind: str, groups: list[dict[str, Any]]) -> Iterator[tuple[Record, dict[str, str | None]]]:
        moment = self.portal.now - self.portal.index_lag_ms
        for group in groups:
            for one in group["filters"]:
                if one["propertyName"] not in self.portal.properties[kind]:
                    raise Refused(400, f"There was a problem with the request: {one['propertyName']} does not exist")
        for records in (self.portal.objects[kind], self.portal.ghosts[kind]):
            for record in list(records.values()):
                seen = record.properties if not self.portal.index_lag_ms else record.indexed(moment)
                if not self.portal.index_lag_ms and (
                    record.archived_at is not None or record.id in self.portal.ghosts[kind]
                ):
                    continue
                if seen is not None and (not groups or any(_passes(seen, group["filters"]) for group in groups)):
                    yield record, seen

    def _object(self, kind: str, record: Record, names: list[str], history: list[str]) -> dict[str, Any]:
        # A value stays readable only while its property exists.
        known = {name: value for name, value in record.properties.items() if name in self.portal.properties[kind]}
        shown: dict[str, Any] = {
            "id": str(record.id),
            "properties": _chosen(known, names, kind),
            "createdAt": to_iso(record.created),
            "updatedAt": record.properties[MODIFIED[kind]],
            "archived": record.archived_at is not None,
        }
        if record.archived_at is not None:
            shown["archivedAt"] = to_iso(record.archived_at)
        if "dealstage" in history:
            newest_first = [{"value": stage, "timestamp": to_iso(at)} for stage, at in reversed(record.stages)]
            shown["propertiesWithHistory"] = {"dealstage": newest_first}
        return shown


def _chosen(properties: dict[str, str | None], names: Iterable[str], kind: str) -> dict[str, str | None]:
    default = ("hs_object_id", "createdate", MODIFIED[kind])
    return {name: properties.get(name) for name in (*default, *names) if name in properties}


def _names(text: str | None) -> list[str]:
    return [name for name in (text or "").split(",") if name]


def _value(properties: dict[str, str | None], name: str) -> float | str:
    """As a number where it is an id or a moment."""
    text = properties.get(name) or ""
    if text.lstrip("-").isdigit():
        return float(text)
    if name.endswith("date") and text:
        return datetime.fromisoformat(text).timestamp() * 1000
    return text


def _passes(properties: dict[str, str | None], filters: list[dict[str, Any]]) -> bool:
    for one in filters:
        have, want = _value(properties, one["propertyName"]), _value({"date": str(one["value"])}, "date")
        if not isinstance(have, float) or not isinstance(want, float):
            return False
        operator = one["operator"]
        if not {"GT": have > want, "GTE": have >= want, "LT": have < want, "LTE": have <= want}[operator]:
            return False
    return True


def _link(other: int, label: str | None) -> dict[str, Any]:
    types = [{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}]
    if label is not None:
        types.append({"category": "USER_DEFINED", "typeId": 1, "label": label})
    return {"toObjectId": other, "associationTypes": types}


def _not_found(kind: str, ids: list[str]) -> list[dict[str, Any]]:
    message = f"Could not get some {kind} objects, they may be deleted or not exist. Check that ids are valid."
    error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": {"ids": ids}}
    return [error] if ids else []


def _no_associations(near: str, far: str, ids: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            "message": f"No {far} is associated with {near} {one}.",
            "context": {"fromObjectId": [one], "fromObjectType": [near], "toObjectType": [far]},
        }
        for one in ids
    ]


def _batch(results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    more = {"numErrors": len(errors), "errors": errors} if errors else {}
    return (207 if errors else 200), {"status": "COMPLETE", "results": results, **more}


def to_body(answer: dict[str, Any]) -> bytes:
    """As it goes over the wire."""
    return json.dumps(answer).encode()
