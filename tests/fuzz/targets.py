"""What is held of each parser for any bytes at all: it answers or refuses in its own words, the same each time.

A target takes bytes and returns nothing; whatever it raises is a crash. Hypothesis and atheris both drive them.
"""

import base64
import hmac
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from services.ingest.adapters.files.data_files import DataFile
from services.ingest.adapters.files.readers import read_file
from services.ingest.adapters.files.unpacking import Unpacker
from services.ingest.domain.batches import to_utc_text
from services.ingest.domain.crm_answers import read_complaint, read_date, read_json, read_retry_after
from services.ingest.domain.file_batches import to_decimal_point, to_source_batch
from services.ingest.domain.file_reading import FileReading
from services.ingest.domain.mapping import TableMapping
from services.scoring.domain.answer import AnswerRefused, parse_answer
from services.scoring.domain.hubspot_events import HubSpotCall, read_hubspot_events, verify_hubspot
from services.scoring.domain.salesforce_messages import read_outbound_message, verify_token
from services.scoring.domain.standard_webhooks import verify_standard_webhook
from services.scoring.domain.webhooks import WebhookEvent, is_record_id, is_storable
from shared.errors import GtmError, TerminalError

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the Standard Webhooks specification's example
HUBSPOT_SECRET: Final = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"  # of HubSpot's documentation
ORGANIZATION: Final = "00D000000000001EAA"
URL: Final = "https://www.example.com/webhook_uri"

Target = Callable[[bytes], None]
_REFUSED: Final = frozenset({401, 422})
_FILE_CODES: Final = frozenset(
    {"file-unreadable", "file-too-large", "mapping-column-missing", "mapping-column-ambiguous"}
)
_MAPPING: Final = TableMapping.model_validate(
    {
        "files": ["x"],
        "key": ["ID"],
        "columns": {"id": "ID", "name": {"column": "Name", "optional": True}}
        | {"annualrevenue": {"column": "Revenue", "optional": True, "decimal": "comma"}},
        "updated_at": {"column": "Changed", "optional": True},
        "deleted": {"column": "Gone", "optional": True},
    }
)


def hubspot_body(data: bytes) -> None:
    """Events of a call whose signature fits."""
    _same_twice(lambda: read_hubspot_events(data))


def hubspot_signature(data: bytes) -> None:
    """Nobody without the secret gets in, whatever headers and body are."""
    version, signature, time, body = _split(data, 4)
    headers = {
        "X-HubSpot-Signature-v3": _text(signature),
        "X-HubSpot-Request-Timestamp": _text(time),
        "X-HubSpot-Signature": _text(signature),
        "X-HubSpot-Signature-Version": _text(version),
    }
    for left_out in (None, "X-HubSpot-Signature-v3"):
        sent = {name: value for name, value in headers.items() if name != left_out}
        call = HubSpotCall("POST", URL + _text(version), sent, body)
        _refused(lambda call=call: verify_hubspot(call, HUBSPOT_SECRET, ("v1", "v2", "v3"), datetime.now(UTC)))


def hubspot_signed(data: bytes) -> None:
    """A call that HubSpot signed gets in, whatever it says; with a bit of it changed it does not."""
    sent = str(int(datetime.now(UTC).timestamp() * 1000))
    digest = hmac.digest(HUBSPOT_SECRET.encode(), b"POST" + URL.encode() + data + sent.encode(), "sha256")
    headers = {"x-hubspot-signature-v3": base64.b64encode(digest).decode(), "x-hubspot-request-timestamp": sent}
    verify_hubspot(HubSpotCall("POST", URL, headers, data), HUBSPOT_SECRET, ("v3",), datetime.now(UTC))
    _refused(
        lambda: verify_hubspot(
            HubSpotCall("POST", URL, headers, data + b" "), HUBSPOT_SECRET, ("v3",), datetime.now(UTC)
        )
    )


def standard_body(data: bytes) -> None:
    """A body that is well signed."""
    moment = str(int(datetime.now(UTC).timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, b"msg_1." + moment.encode() + b"." + data, "sha256")).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": f"v1,{digest}"}
    _same_twice(lambda: [verify_standard_webhook(SECRET, headers, data)])


def standard_signature(data: bytes) -> None:
    """See `hubspot_signature`."""
    id, time, signature, body = _split(data, 4)
    headers = {"Webhook-Id": _text(id), "webhook-timestamp": _text(time), "webhook-signature": _text(signature)}
    _refused(lambda: verify_standard_webhook(SECRET, headers, body))
    _refused(lambda: verify_standard_webhook(SECRET, {}, body))


def salesforce_body(data: bytes) -> None:
    """A message that came with the right token."""
    _same_twice(lambda: read_outbound_message(data, ORGANIZATION))


def salesforce_token(data: bytes) -> None:
    """See `hubspot_signature`."""
    _refused(lambda: verify_token([part.decode("utf-8", "replace") for part in data.split(b"&")], "f" * 32))


def model_answer(data: bytes) -> None:
    """Whatever a model says is an answer of our kind or a refusal that names none of its words but JSON's."""
    try:
        answer = parse_answer(data.decode("utf-8", "replace"))
    except AnswerRefused as refused:
        assert refused.code in {"empty-answer", "not-json", "schema-violated"} and refused.reason
        return
    assert 0 <= answer.lead_score <= 100 and 1 <= len(answer.claims) <= 3 and 20 <= len(answer.pitch) <= 240


def crm_answer(data: bytes) -> None:
    """What a CRM answers, and what it complains of."""
    try:
        answer, _ = read_json(data)
    except ValueError:
        return
    json.dumps(answer, ensure_ascii=False).encode()
    assert len(read_complaint(answer).message) <= 10_000


def crm_headers(data: bytes) -> None:
    """Dates and waits of a CRM's headers."""
    text, now = data.decode("latin-1"), datetime.now(UTC)
    moment = read_date(text)
    assert moment is None or moment.utcoffset() is not None
    wait = read_retry_after({"retry-after": text}, now)
    assert wait is None or wait >= 0


def change_times(data: bytes) -> None:
    """Times of any export become UTC's ISO text, or nothing, each by itself."""
    texts = data.decode("utf-8", "replace").split("\n")
    column = to_utc_text(pa.array(texts, pa.string()))
    assert len(column) == len(texts)
    alone = [to_utc_text(pa.array([text], pa.string()))[0].as_py() for text in texts]
    assert column.to_pylist() == alone, "what stands beside it decides nothing"


def money(data: bytes) -> None:
    """A decimal comma becomes a point in what is a number, and any other text stays."""
    texts = data.decode("utf-8", "replace").split("\n")
    changed = to_decimal_point(pa.array(texts, pa.string()), None).to_pylist()
    for text, one in zip(texts, changed, strict=True):
        if one != text:
            assert len([letter for letter in one if letter.isdigit()]) == len([x for x in text if x.isdigit()])
            digits = "".join(letter for letter in one if letter in "0123456789.")
            Decimal(digits)
    again = to_decimal_point(pa.array(changed, pa.string()), pa.array([True] * len(texts))).to_pylist()
    assert again == changed


def csv_file(data: bytes) -> None:
    """Any bytes as a CSV file."""
    _read_twice("x.csv", data)


def json_lines(data: bytes) -> None:
    """Any bytes as a file of JSON lines."""
    _read_twice("x.jsonl", data)


def packed_file(data: bytes) -> None:
    """Any bytes as a packed file, a workbook or Parquet: the first one says which."""
    names = ("x.csv.gz", "x.xlsx", "x.parquet")
    _read_twice(names[data[0] % len(names)] if data else names[0], data[1:])


WEBHOOKS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (
        hubspot_body,
        hubspot_signature,
        hubspot_signed,
        standard_body,
        standard_signature,
        salesforce_body,
        salesforce_token,
    )
}
PARSERS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (
        model_answer,
        crm_answer,
        crm_headers,
        change_times,
        money,
        csv_file,
        json_lines,
        packed_file,
    )
}


def _same_twice(read: Callable[[], Sequence[WebhookEvent]]) -> None:
    first, second = _events(read), _events(read)
    assert first == second, "an event that comes again is the same one"
    for event in first or ():
        assert event.event_id and is_storable(event.event_id, 255)
        assert is_storable(event.event_type, 128) and (event.event_type or event.ignored_for == "unknown-type")
        assert event.account_id is None or is_storable(event.account_id, 200)
        assert event.ignored_for is None or not event.changes
        assert event.occurred_at is None or event.occurred_at.utcoffset() == timedelta(0)
        for change in event.changes:
            assert change.record_ids and len(set(change.record_ids)) == len(change.record_ids)
            assert all(is_record_id(change.source, one) for one in change.record_ids)


def _events(read: Callable[[], Sequence[WebhookEvent]]) -> Sequence[WebhookEvent] | None:
    try:
        return read()
    except GtmError as error:
        assert error.status in _REFUSED, error.code
        json.dumps(error.to_problem()).encode()
        return None


def _refused(call: Callable[[], Any]) -> None:
    try:
        call()
    except GtmError as error:
        assert (error.status, error.code) == (401, "webhook-signature-invalid")
    else:
        raise AssertionError("let in without the secret")


def _split(data: bytes, parts: int) -> list[bytes]:
    found = data.split(b"\0", parts - 1)
    return found + [b""] * (parts - len(found))


def _text(data: bytes) -> str:
    """As a server gives a header's value."""
    return data.decode("latin-1")


def _read_twice(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        assert _read(path) == _read(path)


def _read(path: Path) -> Any:
    """Columns and rejects, through the mapping too: what RAW would take."""
    reading = FileReading("hubspot_companies", path.name)
    rows, rejects = [], []
    try:
        for batch in read_file(DataFile(path), _MAPPING, reading, Unpacker(path.parent, 64, 64), 100):
            assert {len(column) for column in batch.columns.values()} <= {batch.rows}
            landed = to_source_batch("hubspot_companies", _MAPPING, batch)
            rows += landed.rows.drop_columns(
                ["loaded_at"] if "loaded_at" in landed.rows.column_names else []
            ).to_pylist()
            rejects += [(one.line, one.reason, one.content) for one in batch.rejects]
    except TerminalError as error:
        assert error.code in _FILE_CODES, error.code
        return error.code, error.detail
    assert (len(rows), len(rejects)) == (reading.rows, reading.rejected)
    json.dumps([rows, rejects], default=str).encode()
    return rows, rejects


_FOLDER: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108: files of fuzzing, in memory
