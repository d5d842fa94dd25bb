"""Reading companies, contacts and deals, with what hangs on them: whole, or what changed since."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.ingest.adapters.hubspot.api import CrmApi, Fields
from services.ingest.adapters.hubspot.batches import LINKS_PAGE, read_links, read_records
from services.ingest.domain.hubspot.cursors import Position
from services.ingest.domain.hubspot.objects import HISTORY_TABLE, CrmObject
from services.ingest.domain.hubspot.records import (
    Reading,
    is_record,
    merged_ids,
    to_gone_batch,
    to_history_batch,
    to_link_batch,
    to_merge_batch,
    to_record_batch,
)
from services.ingest.domain.sources import Checkpoint, ScanEnd, SourceEvent

_IDS: Final = Fields(("hs_object_id",))


@dataclass(frozen=True)
class ObjectReader:
    """One kind of CRM record. `types`: its properties -> type, as discovered; `properties`: those to ask for."""

    api: CrmApi
    crm_object: CrmObject
    types: dict[str, str | None]
    properties: tuple[str, ...]

    def read(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """From `position` to the end. After each stretch a checkpoint; one of a thousand records costs fewest requests.

        Alive records come first, then those in the bin: a record that is archived in between ends as deleted, and one
        that is restored in between is stamped and so comes with the next reading.
        """
        if position.phase == "scan":
            yield from self._scan(stream, position)
            position = position.to("archived")
        elif position.phase == "changes":
            yield from self._changes(stream, position)
            position = position.to("archived")
        # Of a reading that was taken over, the one that follows reads the bin.
        if position.phase == "archived" and position.until is None and not position.is_taken_over:
            yield from self._archived(stream, position)
            if position.is_scan:
                # After the bin, which takes those out of RAW's alive ones that a guard would else count as lost.
                yield from (ScanEnd(table) for table in self._tables())
        yield Checkpoint(stream, position.to("done").to_cursor(), is_final=not position.is_taken_over)

    def read_ids(self, ids: Sequence[str]) -> Iterator[SourceEvent]:
        """These records as they are now; those that are gone become deleted."""
        answer = read_records(self.api, self.crm_object.name, ids, self._fields())
        gone = {*answer.missing, *(set(ids) - {str(one["id"]) for one in answer.found})}
        yield from self._events(answer.found, sorted(gone), is_scan=False)

    def _scan(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        after, is_last = position.after, False
        fields = self._fields()
        while not is_last:
            records: list[Any] = []
            while not is_last and len(records) < LINKS_PAGE:
                # Tokens of the list are ids, so pages stay where they are while records come and go.
                page = self.api.list_records(self.crm_object.name, fields if fields.fits_query else _IDS, after)
                records += page.results if fields.fits_query else self._read_whole(page.results, fields)
                after, is_last = page.after, page.after is None
            yield from self._events(records, [], is_scan=True)
            yield Checkpoint(stream, (position.to("archived") if is_last else position.at(after)).to_cursor())

    def _read_whole(self, listed: Sequence[Any], fields: Fields, *, archived: bool = False) -> list[Any]:
        """The records of a page that came without their properties; one that has gone meanwhile isn't there."""
        ids = [str(one["id"]) for one in listed if is_record(one)]
        odd = [one for one in listed if not is_record(one)]
        return [*read_records(self.api, self.crm_object.name, ids, fields, archived=archived).found, *odd]

    def _changes(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        name, after, is_last = self.crm_object.name, position.after or "0", False
        while not is_last:
            ids: list[str] = []
            while not is_last and len(ids) < LINKS_PAGE:
                found = self.api.search_changed(name, self.crm_object.modified, position.since, position.until, after)
                ids += found.ids
                after, is_last = (found.ids or [after])[-1], found.is_last
            if ids:
                yield from self.read_ids(ids)
            yield Checkpoint(stream, (position.to("archived") if is_last else position.at(after)).to_cursor())

    def _archived(self, stream: str, position: Position) -> Iterator[SourceEvent]:
        """The whole bin, which can't be filtered by time. A record stays there for 90 days."""
        name, fields = self.crm_object.name, Fields(self.properties)
        after, is_last = position.after, False
        while not is_last:
            page = self.api.list_records(name, fields if fields.fits_query else _IDS, after, archived=True)
            after, is_last = page.after, page.after is None
            records = page.results if fields.fits_query else self._read_whole(page.results, fields, archived=True)
            yield to_record_batch(self.crm_object, records, self.types, is_deleted=True)
            good = [one for one in records if is_record(one)]
            # Also those that a record took in before it was archived itself: nothing else tells of them any more.
            merged = list(dict.fromkeys(old for one in good for old in merged_ids(one)))
            if merged:
                yield to_gone_batch(self.crm_object.table, "id", merged)
            if good:
                yield from self._hanging([*(str(one["id"]) for one in good), *merged])
            if not is_last:
                yield Checkpoint(stream, position.at(after).to_cursor())

    def _events(self, records: Sequence[Any], gone: Sequence[str], *, is_scan: bool) -> Iterator[SourceEvent]:
        good = [one for one in records if is_record(one)]
        merged = [old for one in good for old in merged_ids(one)]
        reading = Reading(is_scan, tuple(dict.fromkeys([*gone, *merged])))
        yield to_record_batch(self.crm_object, records, self.types, is_scan=is_scan)
        if reading.gone:  # in a scan, too: they may have come with it, before they were merged
            yield to_gone_batch(self.crm_object.table, "id", reading.gone)
        ids = [str(one["id"]) for one in good]
        for link in self.crm_object.links:
            pairs = read_links(self.api, self.crm_object.name, link.far, ids)
            yield to_link_batch(link, ids, pairs, reading)
        if self.crm_object.stage_property is not None:
            yield to_history_batch(self.crm_object.stage_property, good, reading)
        if self.crm_object.merges_table is not None:
            yield to_merge_batch(self.crm_object.merges_table, good, reading)
        if is_scan and reading.gone:
            yield from self._hanging(reading.gone)

    def _hanging(self, ids: Sequence[str]) -> Iterator[SourceEvent]:
        """What hung on records that are gone is gone as well, as a scan would find it."""
        for link in self.crm_object.links:
            yield to_gone_batch(link.table, link.near_column, ids)
        if self.crm_object.stage_property is not None:
            yield to_gone_batch(HISTORY_TABLE, "deal_id", ids)
        if self.crm_object.merges_table is not None:
            yield to_gone_batch(self.crm_object.merges_table, "surviving_id", ids)

    def _tables(self) -> list[str]:
        history = [HISTORY_TABLE] if self.crm_object.stage_property is not None else []
        merges = [self.crm_object.merges_table] if self.crm_object.merges_table is not None else []
        return [self.crm_object.table, *(link.table for link in self.crm_object.links), *history, *merges]

    def _fields(self) -> Fields:
        return Fields(self.properties, self.crm_object.stage_property)
