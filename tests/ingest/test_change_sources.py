"""What change events may name is what the sources read by id."""

import pytest

from services.ingest.adapters.sources import _parse_options, _source_type
from shared.contracts import CHANGE_SOURCES, SyncRequest

IDS = {"hubspot": "123", "salesforce": "001000000000001AAA"}


@pytest.mark.parametrize("source", sorted(CHANGE_SOURCES))
def test_every_object_is_one_that_its_source_reads(source: str) -> None:
    kind = CHANGE_SOURCES[source]
    assert kind.record_id.fullmatch(IDS[source])
    records = {name: [IDS[source]] for name in kind.objects}
    options = _parse_options(SyncRequest(source=source, options={"records": records}), _source_type(source))
    assert set(options.records) == kind.objects
