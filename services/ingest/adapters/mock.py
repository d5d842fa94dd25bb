"""The `mock` source: a generated market instead of a CRM (docs/mock-source.md)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from services.ingest.domain.mock.generate import generate_tables
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.sources import SourceBatch, SyncRun
from services.ingest.settings import IngestSettings


class MockSource:
    """See `services.ingest.domain.sources.Source`."""

    name = "mock"
    is_complete = True
    missing_tables: tuple[str, ...] = ()  # an empty table comes as an empty batch
    unmapped_files: tuple[str, ...] = ()

    def __init__(self, options: MockOptions, state: dict[str, Any] | None) -> None:
        self._options = options
        today = datetime.now(UTC).date()
        # The first sync's day stays, or every later day would shift every moment and change every row.
        remembered = date.fromisoformat(state["as_of"]) if state else options.as_of or today
        self._as_of = options.as_of or remembered
        self.state: dict[str, Any] | None = {"as_of": remembered.isoformat()}

    def read(self, batch_rows: int) -> Iterator[SourceBatch]:
        """The generator's chunks, cut to `batch_rows`."""
        for table, rows in generate_tables(self._options, self._as_of):
            for offset in range(0, max(rows.num_rows, 1), batch_rows):
                yield SourceBatch(table, rows.slice(offset, batch_rows))


def check_mock(options: MockOptions, settings: IngestSettings) -> None:
    """Nothing beyond the options themselves can be wrong."""


def open_mock(options: MockOptions, settings: IngestSettings, run: SyncRun) -> MockSource:
    """The generator, at the day that the source's state remembers."""
    return MockSource(options, run.state)
