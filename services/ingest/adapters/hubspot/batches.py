"""HubSpot's batch reads: many records, or what is associated with them, by one POST. They see records as they are now,
not as the search index knows them, and take property lists of any length.

Paths are of developers.hubspot.com/docs/api-reference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.ingest.adapters.hubspot.api import GENERAL, CrmApi, Fields, read_after, read_results
from services.ingest.domain.hubspot.records import is_record, merged_ids

# changelog/bug-fix-batch-read-limit-for-hubspot-associations-api
LINKS_PAGE: Final = 1000


@dataclass(frozen=True)
class Records:
    """Records, each once, and the ids that aren't there (any more)."""

    found: list[dict[str, Any]]
    missing: list[str]


def read_records(
    api: CrmApi, kind: str, ids: Sequence[str], fields: Fields, *, by: str | None = None, archived: bool = False
) -> Records:
    """Alive records by their ids, or by another property that names one record, such as email; or those in the bin.

    latest/crm/objects/objects/batch/get-objects. The id of a merged record gives the one that took it in, with that
    one's id (changelog/updated-merge-functionality-for-contacts-and-companies). Ids that aren't there are named in
    `errors`, with status 207; one of which nothing is said is asked for again.
    """
    path = f"/crm/v3/objects/{kind}/batch/read"
    found: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    for batch in _cut(list(dict.fromkeys(ids)), fields.page):
        left = batch
        while left:
            answer = api.insist(
                path, lambda: _ask_records(api, path, left, fields, by, archived)
            )  # noqa: B023 (called at once)
            found.update(answer.found)
            missing.extend(answer.missing)
            left = [one for one in left if one not in answer.answered]
    return Records(list(found.values()), missing)


def read_links(api: CrmApi, near: str, far: str, ids: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """Record -> associated record -> the association's label, of those of `ids` that have any.

    legacy/crm/associations/associate-records/batch/get-associations: the rest of one record's associations by an
    `after` of its own; records without any are named in `errors`. So are those of which HubSpot can't tell just now,
    under another category: they are asked for again, since what a record doesn't have here is deleted.
    """
    path = f"/crm/v4/associations/{near}/{far}/batch/read"
    pairs: dict[str, dict[str, str | None]] = {}
    for batch in _cut(ids, LINKS_PAGE):
        inputs: list[dict[str, str]] = [{"id": one} for one in batch]
        silent = False
        while inputs:
            page = api.insist(path, lambda: _ask_links(api, path, inputs))  # noqa: B023 (called at once)
            for one, (ends, _) in page.pairs.items():
                pairs.setdefault(one, {}).update(ends)
            more = [{"id": one, "after": after} for one, (_, after) in page.pairs.items() if after is not None]
            unsaid = [entry for entry in inputs if entry["id"] not in page.pairs and entry["id"] not in page.without]
            if page.is_silent and silent:
                break  # records of which two answers in a row say nothing, nor of any other, have none
            silent = page.is_silent
            if silent:
                api.wait_a_little()
            inputs = more + unsaid
    return pairs


@dataclass(frozen=True)
class _Answer:
    found: dict[str, dict[str, Any]]
    missing: list[str]
    answered: set[str]


@dataclass(frozen=True)
class _Links:
    pairs: dict[str, tuple[dict[str, str | None], str | None]]
    without: set[str]

    @property
    def is_silent(self) -> bool:
        """It tells of no record."""
        return not self.pairs and not self.without


def _ask_records(
    api: CrmApi, path: str, ids: Sequence[str], fields: Fields, by: str | None, archived: bool
) -> _Answer | None:
    """None where the answer tells of none of `ids`."""
    params = {"archived": str(archived).lower()}
    answer = api.client.post(path, json=fields.to_body(ids, by), params=params, budget=GENERAL)
    results = read_results(answer)
    if results is None:
        return None
    found = {str(one["id"]): one for one in results if is_record(one)}
    missing = _named(answer, "ids")
    answered = {*found, *missing, *(old for one in found.values() for old in merged_ids(one))}
    if by is not None and not _is_troubled(answer, "VALIDATION_ERROR"):
        answered |= set(ids)  # who has no such contact, or has it under another spelling, is nobody we know
    elif by is not None:
        return None  # which of them it is about, their ids don't say
    return _Answer(found, missing, answered) if answered.intersection(ids) else None


def _ask_links(api: CrmApi, path: str, inputs: Sequence[dict[str, str]]) -> _Links | None:
    """None where the answer tells of none of them, and there is reason to think that there is something to tell."""
    answer = api.client.post(path, json={"inputs": inputs}, budget=GENERAL)
    results = read_results(answer)
    if results is None:
        return None
    pairs = {
        str(one["from"]["id"]): ({str(end["toObjectId"]): _label(end) for end in one["to"]}, read_after(one))
        for one in results
    }
    links = _Links(pairs, set(_named(answer, "fromObjectId")))
    has_more = _is_troubled(answer) or any("after" in entry for entry in inputs)
    return None if links.is_silent and has_more else links


def _named(answer: Mapping[str, Any], member: str) -> list[str]:
    """Ids that the errors of a partly failed batch are about."""
    errors = [one for one in answer.get("errors") or [] if one.get("category") == "OBJECT_NOT_FOUND"]
    return [str(one) for error in errors for one in (error.get("context") or {}).get(member) or []]


def _is_troubled(answer: Mapping[str, Any], *answers: str) -> bool:
    """Of some HubSpot could not tell whether they are there: by any category but "not found" and those `answers`."""
    return any(one.get("category") not in ("OBJECT_NOT_FOUND", *answers) for one in answer.get("errors") or [])


def _label(end: Mapping[str, Any]) -> str | None:
    """A pair may have several types; their labels, joined."""
    labels = {str(one["label"]) for one in end.get("associationTypes") or [] if one.get("label")}
    return ";".join(sorted(labels)) or None


def _cut(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for offset in range(0, len(ids), size):
        yield list(ids[offset : offset + size])
