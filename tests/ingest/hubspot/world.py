"""An account that changes at random, and what RAW must hold of it."""

import random
from collections.abc import Callable
from typing import Any, TypeAlias

from services.ingest.domain.hubspot.objects import CRM_OBJECTS
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.hubspot_portal import OBJECTS, Portal, Property, Record
from tests.ingest.conftest import Query

Facts: TypeAlias = set[tuple[Any, ...]]
STAGES = ("new", "offer", "won", "lost")
LINKS = (("contacts", "companies"), ("deals", "companies"), ("deals", "contacts"))


class World:
    """`has_leavers`: records vanish for good and properties are taken away, which no incremental sync can see."""

    def __init__(self, hubspot: FakeHubSpot, seed: int, *, has_leavers: bool) -> None:
        self.hubspot = hubspot
        self.portal = hubspot.portal
        self.random = random.Random(seed)
        self.has_leavers = has_leavers
        self._made = 0
        self._deeds: list[tuple[Callable[[], None], int]] = [
            (self._create, 6),
            (self._update, 5),
            (self._update_many, 1),
            (self._archive, 2),
            (self._restore, 2),
            (self._merge, 2),
            (self._link, 5),
            (self._unlink, 2),
            (self._act, 3),
            (self._describe, 1),
            (self._leave, 1 if has_leavers else 0),
        ]

    def change(self, times: int = 1) -> None:
        """So many random things happen; often several at one moment."""
        for _ in range(times):
            self.portal.now += self.random.choice((0, 0, 1, 700, 5_000))
            deeds, weights = zip(*self._deeds, strict=True)
            self.random.choices(deeds, weights)[0]()

    def _pick(self, kind: str, *, archived: bool = False) -> int | None:
        ids = [one for one, record in self.portal.objects[kind].items() if (record.archived_at is not None) == archived]
        return self.random.choice(ids) if ids else None

    def _kind(self) -> str:
        return self.random.choice(OBJECTS)

    def _create(self) -> None:
        kind, self._made = self._kind(), self._made + 1
        names = {
            "companies": {"name": f"Company {self._made}"},
            "contacts": {"email": f"person{self._made}@x.example"},
            "deals": {"dealname": f"Deal {self._made}", "dealstage": "new"},
        }
        self.portal.create(kind, **names[kind])  # type: ignore[arg-type]

    def _update(self) -> None:
        kind = self._kind()
        one = self._pick(kind)
        if one is None:
            return
        if kind == "deals" and self.random.random() < 0.6:
            self.portal.now += 1  # a deal enters one stage a moment
            self.portal.update(kind, [one], dealstage=self.random.choice(STAGES))
        custom = [name for name in self.portal.properties[kind] if name.startswith("custom")]
        name = self.random.choice([*custom, {"companies": "city", "contacts": "phone", "deals": "amount"}[kind]])
        self.portal.update(kind, [one], **{name: self.random.choice((None, "", "é\n", f"v{self.portal.now}"))})

    def _update_many(self) -> None:
        kind = self._kind()
        self.portal.update(kind, self.portal.alive(kind), lifecyclestage=f"s{self.portal.now}")

    def _archive(self) -> None:
        kind = self._kind()
        if (one := self._pick(kind)) is not None:
            self.portal.archive(kind, one)

    def _restore(self) -> None:
        kind = self._kind()
        if (one := self._pick(kind, archived=True)) is not None:
            self.portal.restore(kind, one)

    def _merge(self) -> None:
        kind = self._kind()
        first, second = self._pick(kind), self._pick(kind)
        if first is not None and second is not None and first != second:
            self.portal.merge(kind, first, second)

    def _link(self) -> None:
        near, far = self.random.choice(LINKS)
        one, other = self._pick(near), self._pick(far)
        if one is not None and other is not None:
            self.portal.link(near, one, far, other, self.random.choice((None, "Boss")) if far == "companies" else None)

    def _unlink(self) -> None:
        near, far = self.random.choice(LINKS)
        one = self._pick(near)
        if one is not None and (ends := self.portal.linked(near, one, far)):
            self.portal.unlink(near, one, far, self.random.choice(list(ends)))

    def _act(self) -> None:
        activity, contact = self.hubspot.activity, self._pick("contacts")
        email = f"person{self.random.randint(1, max(1, self._made))}@x.example"
        deeds: list[Callable[[], Any]] = [
            lambda: activity.add_visit(contact or 1, "https://own.example/"),
            lambda: activity.add_submission(self.random.choice(("a", "b")), email),
            lambda: activity.add_email_event("OPEN", email, self.random.randint(1, 3)),
            lambda: activity.add_owner(f"owner{self.portal.now}@own.example"),
            lambda: activity.add_stage(self.random.choice(STAGES), "A stage", "0.5"),
            self._archive_owner,
        ]
        self.random.choice(deeds)()

    def _archive_owner(self) -> None:
        owners = list(self.hubspot.activity.activity.owners.values())
        if owners:
            self.random.choice(owners)["archived"] = True

    def _describe(self) -> None:
        """A property is added, or another type is given to one."""
        properties = self.portal.properties[self._kind()]
        custom = [one for one in properties.values() if one.name.startswith("custom")]
        if custom and self.random.random() < 0.5:
            self.random.choice(custom).type = self.random.choice(("string", "number", "date"))
        else:
            name = f"custom_{self.portal.now}"
            properties[name] = Property(name)

    def _leave(self) -> None:
        kind = self._kind()
        one = self._pick(kind, archived=self.random.random() < 0.5)
        if one is not None:
            self.portal.purge(kind, one)
        custom = [name for name in self.portal.properties[kind] if name.startswith("custom")]
        if custom:
            del self.portal.properties[kind][self.random.choice(custom)]


def differences(hubspot: FakeHubSpot, query: Query) -> dict[str, tuple[Facts, Facts]]:
    """Per RAW table: what only the account has, and what only RAW has. Empty when they agree."""
    found = {**_records(hubspot.portal, query), **_hanging(hubspot.portal, query), **_activity(hubspot, query)}
    return {name: (truth - raw, raw - truth) for name, (truth, raw) in found.items() if truth != raw}


def _records(portal: Portal, query: Query) -> dict[str, tuple[Facts, Facts]]:
    found: dict[str, tuple[Facts, Facts]] = {}
    for kind, crm_object in CRM_OBJECTS.items():
        columns = crm_object.columns
        names = ", ".join(["id", *columns, "json_extract_string(extra, '$.hs_object_id')"])
        alive = {_row(record, columns) for record in portal.objects[kind].values() if record.archived_at is None}
        table = f"raw.{crm_object.table}"
        found[table] = (alive, set(query(f"select {names} from {table} where not is_deleted")))
        bin_ids: Facts = {(str(one.id),) for one in portal.objects[kind].values() if one.archived_at is not None}
        dead = set(query(f"select id from {table} where is_deleted"))
        found[f"{table} deleted"] = (bin_ids, bin_ids & dead)
        custom = {name for name in portal.properties[kind] if name.startswith("custom")}
        truth = {
            (str(record.id), name, record.properties[name])
            for record in portal.objects[kind].values()
            for name in custom
            if record.archived_at is None and record.properties.get(name)
        }
        extras = query(
            f"select id, key, extra ->> key from (select id, extra, unnest(json_keys(extra)) as key from {table}"
            " where not is_deleted)"
        )
        found[f"{table} extra"] = (truth, {row for row in extras if row[1].startswith("custom")})
    return found


def _row(record: Record, columns: dict[str, tuple[str, ...]]) -> tuple[Any, ...]:
    values = [next((v for name in names if (v := record.properties.get(name))), None) for names in columns.values()]
    return (str(record.id), *values, str(record.id))


def _hanging(portal: Portal, query: Query) -> dict[str, tuple[Facts, Facts]]:
    found: dict[str, tuple[Facts, Facts]] = {}
    for near, crm_object in CRM_OBJECTS.items():
        for link in crm_object.links:
            truth = {
                (str(one), str(other), label if link.has_label else None)
                for one in portal.alive(near)
                for other, label in portal.linked(near, one, link.far).items()
            }
            label = "label" if link.has_label else "null"
            raw = query(
                f"select {link.near_column}, {link.far_column}, {label} from raw.{link.table} where not is_deleted"
            )
            found[link.table] = (truth, set(raw))
        if crm_object.merges_table is not None:
            merges = {
                (str(one), old)
                for one in portal.alive(near)
                for old in (portal.objects[near][one].properties.get("hs_merged_object_ids") or "").split(";")
                if old
            }
            raw = query(f"select surviving_id, merged_id from raw.{crm_object.merges_table} where not is_deleted")
            found[crm_object.merges_table] = (merges, set(raw))
    stages = {(str(one), stage) for one in portal.alive("deals") for stage, _ in portal.objects["deals"][one].stages}
    raw = query("select deal_id, stage_id from raw.hubspot_deal_stage_history where not is_deleted")
    found["stages"] = (stages, set(raw))
    return found


def _activity(hubspot: FakeHubSpot, query: Query) -> dict[str, tuple[Facts, Facts]]:
    activity, portal = hubspot.activity.activity, hubspot.portal
    described = {(kind, one.name, one.type) for kind in OBJECTS for one in portal.properties[kind].values()}
    truths: dict[str, tuple[str, Facts]] = {
        "hubspot_owners": ("id", {(one["id"],) for one in activity.owners.values() if not one["archived"]}),
        "hubspot_pipeline_stages": ("id", {(one,) for one in activity.stages}),
        "hubspot_properties": ("object_type, name, type", described),
        "hubspot_web_visits": ("id", {(one["id"],) for one in activity.visits}),
        "hubspot_form_submissions": ("id", {(one["conversionId"],) for one in activity.submissions}),
        "hubspot_email_events": ("id", {(one["id"],) for one in activity.email_events}),
        "hubspot_email_campaigns": ("id", {(str(one),) for one in activity.campaigns}),
    }
    return {
        table: (truth, set(query(f"select {columns} from raw.{table} where not is_deleted")))
        for table, (columns, truth) in truths.items()
    }
