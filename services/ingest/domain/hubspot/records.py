"""CRM records, their associations, stages and merges as batches for RAW."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.ingest.domain.hubspot.objects import HISTORY_TABLE, PROPERTIES_TABLE, CrmObject, Link
from services.ingest.domain.hubspot.rows import convert, to_columns, to_extra, to_rows, to_text
from services.ingest.domain.sources import Reject, Replacement, SourceBatch

Record: TypeAlias = Mapping[str, Any]
Pairs: TypeAlias = Mapping[str, Mapping[str, str | None]]
"""Record -> associated record -> what the association is called, None where it has no label."""


@dataclass(frozen=True)
class Reading:
    """How a batch belongs to what is read: a scan of the table, or all that hangs on some records."""

    is_scan: bool
    gone: tuple[str, ...] = ()
    """Records that were asked for or named as merged, and aren't there: what hangs on them is gone as well."""

    def replaces(self, column: str, ids: Iterable[str]) -> Replacement | None:
        """For the rows that hang on the records `ids`."""
        return None if self.is_scan else Replacement(column, tuple(dict.fromkeys([*ids, *self.gone])))


def to_record_batch(
    crm_object: CrmObject,
    records: Sequence[Any],
    fields: Mapping[str, str | None],
    *,
    is_scan: bool = False,
    is_deleted: bool = False,
) -> SourceBatch:
    """The object's own rows. What is no record with an id and properties becomes a reject; with an id it isn't gone."""
    good = [record for record in records if is_record(record)]
    bad = [record for record in records if not is_record(record)]
    rejects = tuple(_reject(crm_object.name, record) for record in bad)
    held_back = tuple(str(one["id"]) for one in bad if isinstance(one, dict) and isinstance(one.get("id"), str | int))
    values = [record["properties"] for record in good]
    sources = crm_object.columns
    mapped = {names[0] for names in sources.values()}  # what the others say is kept beside
    columns = {column: [_first(one, names) for one in values] for column, names in sources.items()}
    own_time = [to_text(record.get("updatedAt")) for record in good]
    stamps = [to_text(one.get(crm_object.modified)) or own for one, own in zip(values, own_time, strict=True)]
    unmapped = [{name: value for name, value in one.items() if name not in mapped} for one in values]
    if is_deleted:
        unmapped = [{**one, "archived_at": r.get("archivedAt")} for one, r in zip(unmapped, good, strict=True)]
    table = to_columns(
        crm_object.table,
        {**columns, "id": [str(record["id"]) for record in good]},
        key=["id"],
        updated_at=stamps,
        extra=[to_extra(one) for one in unmapped],
        is_deleted=is_deleted,
    )
    return SourceBatch(crm_object.table, table, rejects, fields=fields, is_scan=is_scan, held_back=held_back)


def to_gone_batch(table: str, column: str, ids: Iterable[str]) -> SourceBatch:
    """No rows: whatever RAW has of these is gone."""
    return SourceBatch(table, to_rows(table, [], key=[column]), replaces=Replacement(column, tuple(ids)))


def to_link_batch(link: Link, ids: Sequence[str], pairs: Pairs, reading: Reading) -> SourceBatch:
    """The associations of the records `ids`."""
    rows: list[dict[str, str | None]] = [
        {link.near_column: near, link.far_column: far, **({"label": label} if link.has_label else {})}
        for near, ends in pairs.items()
        for far, label in ends.items()
    ]
    table = to_rows(link.table, rows, key=[link.near_column, link.far_column])
    return SourceBatch(link.table, table, is_scan=reading.is_scan, replaces=reading.replaces(link.near_column, ids))


def to_history_batch(stage_property: str, records: Sequence[Record], reading: Reading) -> SourceBatch:
    """One row a moment at which a deal entered a stage."""

    def to_stages(record: Record) -> list[dict[str, str | None]]:
        return [
            {
                "deal_id": str(record["id"]),
                "stage_id": to_text(entry.get("value")),
                "entered_at": to_text(entry.get("timestamp")),
            }
            for entry in (record.get("propertiesWithHistory") or {}).get(stage_property) or []
        ]

    stages, rejects = convert("deals", records, to_stages)
    table = to_rows(HISTORY_TABLE, [row for rows in stages for row in rows], key=["deal_id", "entered_at"])
    ids = (str(record["id"]) for record in records)
    replaces = reading.replaces("deal_id", ids)
    return SourceBatch(HISTORY_TABLE, table, rejects, is_scan=reading.is_scan, replaces=replaces)


def to_merge_batch(table: str, records: Sequence[Record], reading: Reading) -> SourceBatch:
    """One row a record that another has taken in.

    `hs_merged_object_ids` is whole and has no times; `hs_calculated_merged_vids`, of contacts, has times (epoch
    milliseconds, as they come) and leaves out chained merges (fivetran/dbt_hubspot issue 168).
    """
    rows = []
    for record in records:
        times = _merge_times(record)
        for merged in merged_ids(record):
            rows.append({"surviving_id": str(record["id"]), "merged_id": merged, "merged_at": times.get(merged)})
    ids = (str(record["id"]) for record in records)
    return SourceBatch(
        table,
        to_rows(table, rows, key=["surviving_id", "merged_id"]),
        is_scan=reading.is_scan,
        replaces=reading.replaces("surviving_id", ids),
    )


def to_property_batch(object_name: str, properties: Sequence[Record]) -> SourceBatch:
    """All properties of one object, as the properties API describes them."""
    rows = [
        {
            "object_type": object_name,
            "name": to_text(one.get("name")),
            "label": to_text(one.get("label")),
            "type": to_text(one.get("type")),
            "field_type": to_text(one.get("fieldType")),
            "calculated": to_text(one.get("calculated")),
        }
        for one in properties
    ]
    table = to_rows(PROPERTIES_TABLE, rows, key=["object_type", "name"])
    return SourceBatch(PROPERTIES_TABLE, table, replaces=Replacement("object_type", (object_name,)))


def merged_ids(record: Record) -> list[str]:
    """Records that this one has taken in, without itself."""
    named = [*str(_property(record, "hs_merged_object_ids") or "").split(";"), *_merge_times(record)]
    ids = dict.fromkeys(one.strip() for one in named)
    return [one for one in ids if one and one != str(record["id"])]


def _merge_times(record: Record) -> dict[str, str]:
    """`<id>:<epoch ms>;...` -> id -> epoch ms."""
    entries = str(_property(record, "hs_calculated_merged_vids") or "").split(";")
    pairs = (entry.strip().partition(":") for entry in entries)
    return {one: moment for one, _, moment in pairs if one and moment}


def _property(record: Record, name: str) -> Any:
    return record["properties"].get(name)


def _first(properties: Mapping[str, Any], names: Iterable[str]) -> str | None:
    for name in names:
        text = to_text(properties.get(name))
        if text is not None:
            return text
    return None


def is_record(record: Any) -> bool:
    """It has an id and properties."""
    return isinstance(record, dict) and bool(record.get("id")) and isinstance(record.get("properties"), dict)


def _reject(stream: str, record: Any) -> Reject:
    return Reject(stream, 0, "no record: it lacks an id or its properties", json.dumps(record, ensure_ascii=False))
