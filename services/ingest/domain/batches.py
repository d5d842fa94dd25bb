"""Building the Arrow batches that landing takes: text as it came, plus what landing needs to know of a row."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from services.ingest.domain.raw_schema import source_columns

RECORD_KEY: Final = "record_key"
UPDATED_AT: Final = "record_updated_at"  # no RAW column is called so
ARRIVAL: Final = "arrival"

_TRUE_WORDS: Final = pa.array(["true", "t", "1", "yes", "y"])
_ISO = r"^\s*\d{4}-\d{2}-\d{2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}(:?\d{2})?)?)?\s*$"
_ISO_WITH_OFFSET = r":.*[+-]\d{2}(:?\d{2})?\s*$"
_UTC_MARK = r"(:.*?)\s*(Z|[+-]00(:?00)?)\s*$"
_EPOCH_MILLISECONDS = r"^\s*\d{12,13}\s*$"
_OFFSET = re.compile(r"^(.*?)\s*([+-]\d{2}(?::?\d{2})?)$")
_CONTROL_CHARACTERS = r"[\x00-\x1f]"


def batch_schema(table: str) -> pa.Schema:
    """`source columns..., extra, is_deleted, record_key, record_updated_at`.

    `record_key` is the trimmed key, null when the record has none; `record_updated_at` is text that the engines cast
    alike.
    """
    text = [pa.field(name, pa.string()) for name in (*source_columns(table), "extra")]
    return pa.schema(
        [
            *text,
            pa.field("is_deleted", pa.bool_()),
            pa.field(RECORD_KEY, pa.string()),
            pa.field(UPDATED_AT, pa.string()),
        ]
    )


def build_batch(
    table: str,
    columns: Mapping[str, pa.Array],
    *,
    key: Sequence[pa.Array],
    updated_at: pa.Array | None,
    is_deleted: pa.Array | None,
    extra: pa.Array | None = None,
) -> pa.Table:
    """A batch for `table`; RAW columns that `columns` lacks are null. All arrays have one length."""
    rows = len(key[0])
    nothing = pa.nulls(rows, pa.string())
    arrays = [columns.get(name, nothing) for name in source_columns(table)]
    arrays += [
        nothing if extra is None else extra,
        pa.array([False] * rows, pa.bool_()) if is_deleted is None else is_deleted,
        to_record_key(key),
        nothing if updated_at is None else to_utc_text(updated_at),
    ]
    return pa.Table.from_arrays(arrays, schema=batch_schema(table))


def to_record_key(parts: Sequence[pa.Array]) -> pa.Array:
    """The trimmed parts joined by `|`; null where any part is missing, since half a key names no record."""
    trimmed = [pc.utf8_trim_whitespace(part) for part in parts]
    known = [pc.if_else(pc.equal(part, ""), None, part) for part in trimmed]
    return pc.binary_join_element_wise(*known, "|", null_handling="emit_null")


def to_flags(column: pa.Array) -> pa.Array:
    """True for true, t, 1, yes, y in any case; False for all else, null included."""
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    return pc.fill_null(pc.is_in(words, value_set=_TRUE_WORDS), False)


def to_utc_text(column: pa.Array) -> pa.Array:
    """Change times as ISO text without a zone, in UTC; null where the text is neither ISO 8601 nor epoch milliseconds.

    Done here because both engines' `try_cast(text as datetime)` keep the wall clock and drop the offset.
    """
    iso = pc.if_else(pc.match_substring_regex(column, _ISO), column, None)
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(iso, _UTC_MARK, r"\1"))
    shifted = pc.fill_null(pc.match_substring_regex(plain, _ISO_WITH_OFFSET), False)
    epoch = pc.fill_null(pc.match_substring_regex(column, _EPOCH_MILLISECONDS), False)
    odd = pc.or_(shifted, epoch)
    if not pc.any(odd).as_py():
        return plain
    texts = plain.to_pylist()
    for position in pc.indices_nonzero(odd).to_pylist():
        texts[position] = _to_utc_text(column[position].as_py().strip())
    return pa.array(texts, pa.string())


def _to_utc_text(text: str) -> str | None:
    """One shifted ISO time or one epoch; null when it names no real moment, such as month 13."""
    try:
        if text.isdigit():
            moment = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            match = _OFFSET.match(text)
            assert match is not None
            moment = datetime.fromisoformat(re.sub(r"([T ])(\d):", r"\g<1>0\2:", match[1]) + match[2])
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    except (ValueError, OverflowError):  # also 0001-01-01T00:00:00+02:00, some systems' "never": the year 0 in UTC
        return None


def to_json_objects(columns: Mapping[str, pa.Array]) -> pa.Array | None:
    """One JSON object per row of the columns' non-null values, names sorted; null where nothing is left.

    Sorted, so that a file whose columns change places does not look changed.
    """
    members = [_to_json_member(name, columns[name]) for name in sorted(columns)]
    if not members:
        return None
    # Each member brings its comma: `null_handling="skip"` drops a row whose members are all null (pyarrow 26).
    body = pc.binary_join_element_wise(*(pc.fill_null(member, "") for member in members), "")
    objects = pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(body, start=1), "}", "")
    return pc.if_else(pc.equal(body, ""), None, objects)


def _to_json_member(name: str, column: pa.Array) -> pa.Array:
    """`,"<name>":"<text>"` per row, null where the text is."""
    prefix = f",{json.dumps(name, ensure_ascii=False)}:"
    if pc.any(pc.match_substring_regex(column, _CONTROL_CHARACTERS)).as_py():
        values = (
            None if text is None else prefix + json.dumps(text, ensure_ascii=False) for text in column.to_pylist()
        )
        return pa.array(values, pa.string())
    escaped = pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise(prefix + '"', escaped, '"', "")


def empty_to_null(column: pa.Array) -> pa.Array:
    """Exports write NULL as an empty string."""
    return pc.if_else(pc.equal(column, ""), None, column)
