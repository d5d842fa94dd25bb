"""What a HubSpot account holds and what happens to it. Time is its own: `now`, in epoch milliseconds.

Each change stamps the record and is seen by the search index `index_lag_ms` later, never earlier. Source of what a
change does: developers.hubspot.com/docs/api-reference/latest/crm/search-the-crm (limits, delay of the index),
.../changelog/updated-merge-functionality-for-contacts-and-companies (a merge makes a new record, old ids lead to it).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

OBJECTS = ("companies", "contacts", "deals")
MODIFIED = {"companies": "hs_lastmodifieddate", "contacts": "lastmodifieddate", "deals": "hs_lastmodifieddate"}
STANDARD = {
    "companies": "name domain industry city state country numberofemployees annualrevenue lifecyclestage",
    "contacts": "email firstname lastname jobtitle phone associatedcompanyid company lifecyclestage "
    "hs_calculated_merged_vids",
    "deals": "dealname amount deal_currency_code pipeline dealstage hs_is_closed hs_is_closed_won closedate dealtype "
    "hubspot_owner_id hs_primary_associated_company",
}
_KEPT_VERSIONS = 8


@dataclass
class Property:
    """A property as the properties API describes it."""

    name: str
    type: str = "string"
    field_type: str = "text"
    calculated: bool = False


@dataclass
class Record:
    """One CRM record. `versions`: (from when, what the index then says: its properties, None where it is not in)."""

    id: int
    properties: dict[str, str | None]
    created: int
    archived_at: int | None = None
    stages: list[tuple[str, int]] = field(default_factory=list)
    versions: list[tuple[int, dict[str, str | None] | None]] = field(default_factory=list)

    def indexed(self, moment: int) -> dict[str, str | None] | None:
        """What the search index says of the record, if it is that of `moment`."""
        for since, properties in reversed(self.versions):
            if since <= moment:
                return properties
        return None


def to_iso(moment: int) -> str:
    """Epoch milliseconds as HubSpot writes moments."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Portal:
    """The account's records and how they change. Ids only grow, as HubSpot's do."""

    def __init__(self, *, now: int, index_lag_ms: int = 0) -> None:
        self.now = now
        self.index_lag_ms = index_lag_ms
        self.objects: dict[str, dict[int, Record]] = {kind: {} for kind in OBJECTS}
        self.merged: dict[str, dict[int, int]] = {kind: {} for kind in OBJECTS}
        self.ever: dict[str, set[int]] = {kind: set() for kind in OBJECTS}
        self.order: dict[str, list[int]] = {kind: [] for kind in OBJECTS}
        """Ids in the order of the list endpoint; those of forgotten records stay."""
        self.ghosts: dict[str, dict[int, Record]] = {kind: {} for kind in OBJECTS}
        """Merged and purged records: the index may know them for a while."""
        self.links: dict[tuple[str, str], dict[int, dict[int, str | None]]] = {}
        self.properties = {
            kind: {name: Property(name) for name in STANDARD[kind].split()}
            | {
                name: Property(name, "datetime", "date")
                for name in ("createdate", "hs_lastmodifieddate", "lastmodifieddate", "hs_object_id")
            }
            | {"hs_merged_object_ids": Property("hs_merged_object_ids", "enumeration", "checkbox")}
            for kind in OBJECTS
        }
        self._next_id = 100

    def create(self, kind: str, **properties: str | None) -> Record:
        """A new record at `now`."""
        self._next_id += 1
        record = Record(self._next_id, {}, self.now)
        self.objects[kind][record.id] = record
        self.ever[kind].add(record.id)
        self.order[kind].append(record.id)
        record.properties |= {"createdate": to_iso(self.now), "hs_object_id": str(record.id)}
        self.update(kind, [record.id], **properties)
        return record

    def update(self, kind: str, ids: Iterable[int], **properties: str | None) -> None:
        """All of them at one moment: HubSpot's own batch updates give thousands of records the same stamp."""
        for one in ids:
            record = self.objects[kind][one]
            stage = properties.get("dealstage")
            if kind == "deals" and stage and record.properties.get("dealstage") != stage:
                record.stages.append((stage, self.now))
            record.properties |= properties
            self._touch(kind, record)

    def archive(self, kind: str, one: int) -> None:
        """To the recycling bin: out of lists and search, in the archived list; HubSpot stamps nothing."""
        record = self.objects[kind][one]
        record.archived_at = self.now
        record.versions.append((self.now, None))
        self._touch_linked(kind, one)

    def restore(self, kind: str, one: int) -> None:
        """Back from the bin; as an update, it stamps the record."""
        self.objects[kind][one].archived_at = None
        self._touch(kind, self.objects[kind][one])
        self._touch_linked(kind, one)

    def purge(self, kind: str, one: int) -> None:
        """Gone for good (privacy deletion, or 90 days in the bin): no list names it any more."""
        self._touch_linked(kind, one)
        self._forget(kind, one)

    def merge(self, kind: str, primary: int, other: int) -> Record:
        """A third record takes the place of both, with the primary's values and both records' associations."""
        first, second = self.objects[kind][primary], self.objects[kind][other]
        survivor = self.create(kind, **{**second.properties, **first.properties, "hs_object_id": None})
        survivor.properties["hs_object_id"] = str(survivor.id)
        survivor.properties["createdate"] = to_iso(self.now)
        survivor.stages = sorted({*first.stages, *second.stages}, key=lambda entry: entry[1])
        gone = [primary, other]
        for one in (first, second):
            gone += [int(old) for old in (one.properties.get("hs_merged_object_ids") or "").split(";") if old]
        merged = {"hs_merged_object_ids": ";".join(map(str, sorted(set(gone))))}
        if kind == "contacts":  # known to leave out earlier merges: fivetran/dbt_hubspot issue 168
            merged["hs_calculated_merged_vids"] = f"{primary}:{self.now};{other}:{self.now}"
        for (near, far), ends in list(self.links.items()):
            if near == kind:
                for old in (primary, other):
                    for target, label in ends.get(old, {}).items():
                        self._link(near, survivor.id, far, target, label)
        for old in (primary, other):
            self._touch_linked(kind, old)
            self._forget(kind, old)
        for old in set(gone):
            self.merged[kind][old] = survivor.id
        self.update(kind, [survivor.id], **merged)
        return survivor

    def link(self, near: str, one: int, far: str, other: int, label: str | None = None) -> None:
        """Associate two records. Both ends' counters (num_associated_...) change, which stamps both."""
        self._link(near, one, far, other, label)
        self._touch(near, self.objects[near][one])
        self._touch(far, self.objects[far][other])

    def unlink(self, near: str, one: int, far: str, other: int) -> None:
        """The reverse of `link`, with the same stamps."""
        self._unlink(near, one, far, other)
        self._touch(near, self.objects[near][one])
        self._touch(far, self.objects[far][other])

    def linked(self, near: str, one: int, far: str) -> dict[int, str | None]:
        """Alive records at the other end -> label, in the order of their ids."""
        targets = self.links.get((near, far), {}).get(one, {})
        alive = self.objects[far]
        return {
            other: label
            for other, label in sorted(targets.items())
            if other in alive and alive[other].archived_at is None
        }

    def alive(self, kind: str) -> list[int]:
        """Ids, ascending."""
        return [one for one, record in self.objects[kind].items() if record.archived_at is None]

    def _link(self, near: str, one: int, far: str, other: int, label: str | None) -> None:
        self.links.setdefault((near, far), {}).setdefault(one, {})[other] = label
        self.links.setdefault((far, near), {}).setdefault(other, {})[one] = label

    def _unlink(self, near: str, one: int, far: str, other: int) -> None:
        self.links.get((near, far), {}).get(one, {}).pop(other, None)
        self.links.get((far, near), {}).get(other, {}).pop(one, None)

    def _touch(self, kind: str, record: Record) -> None:
        record.properties = {**record.properties, MODIFIED[kind]: to_iso(self.now)}
        seen = None if record.archived_at is not None else record.properties
        if record.versions and record.versions[-1][0] == self.now:
            record.versions.pop()
        record.versions = [*record.versions[-_KEPT_VERSIONS:], (self.now, seen)]

    def _touch_linked(self, kind: str, one: int) -> None:
        for (near, far), ends in self.links.items():
            if near == kind:
                for other in ends.get(one, {}):
                    if other in self.objects[far]:
                        self._touch(far, self.objects[far][other])

    def _forget(self, kind: str, one: int) -> None:
        for near, far in list(self.links):
            if near == kind:
                for other in list(self.links[near, far].get(one, {})):
                    self._unlink(near, one, far, other)
        ghost = self.objects[kind].pop(one)
        ghost.versions.append((self.now, None))
        self.ghosts[kind][one] = ghost
