"""The files of one table as a sync takes them: mapped, and by its policy for fields that the table did not have."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.plan import TableFiles
from services.ingest.adapters.files.readers import read_file
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.batches import batch_schema
from services.ingest.domain.file_batches import to_source_batch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.loaded_files import LoadedFile
from services.ingest.domain.schema_drift import Fields, SchemaWatch
from services.ingest.domain.sources import KnownRows, SourceBatch


class TableReader:
    """`begin`, then `read` each file in the table's order, then `end`.

    The watch is this reading's own: whoever lands the batches looks at them again, and finds the same. Here it tells
    which files gave rows that did not land.
    """

    def __init__(
        self,
        one: TableFiles,
        unpacker: Unpacker,
        batch_rows: int,
        watch: SchemaWatch,
        pause: Callable[[float], None],
    ) -> None:
        """`pause` is called while files are read for their fields alone; may raise."""
        self._one = one
        self._unpacker = unpacker
        self._batch_rows = batch_rows
        self._watch = watch
        self._pause = pause
        self._seen: dict[str, str | None] = {}
        self._has_json_lines = any(file.kind == ".jsonl" for file in one.files)
        self._is_late = self._has_json_lines and watch.policy != "quarantine"

    def begin(self, known: Mapping[str, LoadedFile]) -> SourceBatch:
        """No row, but the fields as far as they are known now. `known`: files that are not read, by name.

        Raises:
            SchemaChanged: the policy is freeze and the fields changed; `end` and `read` as well.
            TerminalError: as `read_file`.
        """
        rows = KnownRows(sum(one.rows for one in known.values()), sum(one.rejected for one in known.values()))
        for one in known.values():
            self._seen.update(dict.fromkeys(one.columns))
        fields: Fields = {}
        if not self._is_late and not self._one.has_one_header:
            self._look_ahead(known)
            fields = self._all_fields()
        return self._watch.look_at(replace(self._without_rows(fields), known=rows))

    def read(self, file: DataFile, reading: FileReading) -> Iterator[SourceBatch]:
        """Its rows; what was held back of them is a reject by now, and counted as such."""
        for batch in read_file(file, self._one.mapping, reading, self._unpacker, self._batch_rows):
            fields = dict.fromkeys(reading.columns) if self._one.has_one_header else {}
            given = replace(to_source_batch(self._one.table, self._one.mapping, batch), fields=fields)
            taken = self._watch.look_at(given)
            held = taken.rejects[len(given.rejects) :]
            reading.hold_back(len(held))
            yield replace(taken, rejects=(*given.rejects, *(replace(one, file=file.name) for one in held)))
        self._seen.update(dict.fromkeys(reading.columns))

    def end(self) -> SourceBatch | None:
        """No row, but the fields that only the last line has told."""
        return self._watch.look_at(self._without_rows(self._all_fields())) if self._is_late else None

    def _look_ahead(self, known: Mapping[str, LoadedFile]) -> None:
        """Of all the table's files, so that one that lacks a column takes it from none of the others.

        Lines of JSON have no header, so that a file of them is read twice where rows may have to be held back.
        """
        for file in self._one.files:
            if file.name in known:
                continue
            reading = FileReading(self._one.table, file.name)
            batch_rows = self._batch_rows if file.kind == ".jsonl" else 1
            with closing(read_file(file, self._one.mapping, reading, self._unpacker.fresh(), batch_rows)) as batches:
                for _ in batches:
                    self._pause(0)
                    if file.kind != ".jsonl":
                        break
            self._seen.update(dict.fromkeys(reading.columns))

    def _all_fields(self) -> Fields:
        """Of lines of JSON, also those of before: a line leaves out what it has no value for."""
        before = self._watch.known.get(self._one.table, {}) if self._has_json_lines else {}
        return {**before, **self._seen}

    def _without_rows(self, fields: Fields) -> SourceBatch:
        return SourceBatch(self._one.table, batch_schema(self._one.table).empty_table(), fields=fields)
