"""What fuzzing and reading have found: each crash once, as it was."""

from datetime import UTC, datetime

import httpx
import pyarrow as pa
import pytest

from cli.transport import wait_seconds
from services.ingest.domain.batches import to_utc_text
from services.ingest.domain.crm_answers import read_complaint, read_json
from tests.fuzz.targets import PARSERS, WEBHOOKS

CRASHES: list[tuple[str, bytes]] = [
    ("crm_headers", b"Mon, 24 Nov 99999999999999999999 10:00:00 GMT"),
    ("crm_headers", b"Mon, 24 Nov 2026 10:00:00 +99999999999999999999"),
]


@pytest.mark.parametrize(("name", "data"), CRASHES, ids=[f"{name}-{n}" for n, (name, _) in enumerate(CRASHES)])
def test_it_crashes_no_more(name: str, data: bytes) -> None:
    {**WEBHOOKS, **PARSERS}[name](data)


def test_gtm_waits_no_longer_than_it_does_whatever_it_is_told() -> None:
    for told in ("9" * 400, "Mon, 24 Nov 2026 10:00:00 +99999999999999999999", "Mon, 24 Nov 9999 10:00:00 GMT"):
        assert 0 < wait_seconds(httpx.Response(202, headers={"Retry-After": told})) <= 60


def test_a_time_before_the_first_year_is_no_time() -> None:
    """What .NET writes for "never", with an offset: it ended a whole sync."""
    texts = ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-01:00", "2026-11-24T10:00:00+02:00"]
    assert to_utc_text(pa.array(texts)).to_pylist() == [None, None, "2026-11-24 08:00:00"]
    assert datetime.fromisoformat(texts[0]) < datetime(1, 1, 2, tzinfo=UTC)


def test_a_crm_that_answers_with_brackets_is_malformed_and_no_crash() -> None:
    for body in (b"[" * 100_000, b'{"a":' * 100_000, b'"\\ud800"' + b"[" * 100_000):
        with pytest.raises(ValueError):
            read_json(body)
    nested: object = {"message": "deep"}
    for _ in range(900):
        nested = {"errors": nested}
    assert read_complaint(nested).message == "no reason given"
