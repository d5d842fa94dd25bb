"""Columns of text as Arrow arrays, made from numbers without a Python object per row."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.ingest.domain.mock.arrays import Flags, Ints, Moments, Texts

_MILLISECONDS_PER_MINUTE: Final = 60_000
_MINUTES_PER_DAY: Final = 1440
_HEX: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def to_pool(values: Texts | list[str] | list[str | None]) -> pa.Array:
    """Texts to take from: an Arrow array of Python's texts, None as null."""
    return pa.array(values, pa.string(), from_pandas=False)


def take(pool: pa.Array, index: Ints, known: Flags | None = None) -> pa.Array:
    """The pool's texts at `index`; null where not `known`."""
    return pool.take(pa.array(index, mask=None if known is None else ~known))


def numbered_texts(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """Record ids such as `pv-000000042`: ASCII prefix, then the number in `width` digits, which must suffice."""
    start = len(prefix)
    letters = np.empty((len(numbers), start + width), dtype=np.uint8)
    letters[:, :start] = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    rest, end = numbers, start + width
    while end > start:
        four = min(4, end - start)
        higher = rest // 10_000
        letters[:, end - four : end] = _digits()[rest - higher * 10_000, 4 - four :]
        rest, end = higher, end - four
    return _fixed_width(letters)


def hex_texts(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """As `numbered_texts`, in `width` hexadecimal digits."""
    start = len(prefix)
    letters = np.empty((len(numbers), start + width), dtype=np.uint8)
    letters[:, :start] = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    for place in range(width):
        letters[:, start + place] = _HEX[(numbers >> 4 * (width - 1 - place)) & 15]
    return _fixed_width(letters)


def iso_texts(moments: Moments) -> tuple[pa.Array, pa.Array]:
    """`2026-03-01T10:00:00.000Z` as HubSpot writes UTC, and without the `Z`, as landing compares change times."""
    milliseconds = moments.view(np.int64)
    minutes = milliseconds // _MILLISECONDS_PER_MINUTE
    days = minutes // _MINUTES_PER_DAY
    months, day_of_month, first = _calendar(days)
    words = np.empty((len(moments), 3), dtype=np.uint64)
    words[:, 0] = months[days - first]
    words[:, 1] = _day_and_minute()[day_of_month[days - first] * _MINUTES_PER_DAY + minutes - days * _MINUTES_PER_DAY]
    words[:, 2] = _second()[milliseconds - minutes * _MILLISECONDS_PER_MINUTE]
    letters = words.view(np.uint8).reshape(len(moments), 24)
    return _fixed_width(letters), _fixed_width(letters[:, :23])


def _fixed_width(letters: npt.NDArray[np.uint8]) -> pa.Array:
    """A row of ASCII letters per text."""
    rows, width = letters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    text = np.ascontiguousarray(letters)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text))


def _calendar(days: Ints) -> tuple[npt.NDArray[np.uint64], Ints, int]:
    """For each day from the first to the last of `days`: `2026-03-` as a word, the day of the month; and the first."""
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    dates = np.arange(first, last + 1).astype("datetime64[D]")
    texts = np.datetime_as_string(dates).astype("S10")
    letters = texts.view(np.uint8).reshape(len(dates), 10)
    month = np.ascontiguousarray(letters[:, :8]).view(np.uint64)[:, 0]
    day_of_month = (letters[:, 8].astype(np.int64) - ord("0")) * 10 + letters[:, 9] - ord("0")
    return month, day_of_month, first


@cache
def _digits() -> npt.NDArray[np.uint8]:
    """The four digits of 0 to 9999, a row each."""
    return _letters("".join(f"{number:04d}" for number in range(10_000))).reshape(10_000, 4)


@cache
def _day_and_minute() -> npt.NDArray[np.uint64]:
    """`01T10:00` as a word, by day of the month (from 0) and minute of the day."""
    times = [f"T{minute // 60:02d}:{minute % 60:02d}" for minute in range(_MINUTES_PER_DAY)]
    return _letters("".join(f"{day:02d}{time}" for day in range(32) for time in times)).view(np.uint64)


@cache
def _second() -> npt.NDArray[np.uint64]:
    """`:00.000Z` as a word, by millisecond of the minute."""
    texts = (f":{number // 1000:02d}.{number % 1000:03d}Z" for number in range(_MILLISECONDS_PER_MINUTE))
    return _letters("".join(texts)).view(np.uint64)


def _letters(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
