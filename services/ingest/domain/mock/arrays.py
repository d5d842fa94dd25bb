"""Arrays and random streams that the generator is made of."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Texts: TypeAlias = npt.NDArray[np.object_]
Moments: TypeAlias = npt.NDArray[np.datetime64]

MILLISECONDS_PER_DAY = 86_400_000
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def random_stream(seed: int, *path: int) -> np.random.Generator:
    """An independent stream per seed and path, so that asking for more of one object doesn't change another."""
    return np.random.default_rng([seed, *path])


def sigmoid(values: Floats) -> Floats:
    """Log-odds to probability."""
    return 1.0 / (1.0 + np.exp(-values))


def draw(rng: np.random.Generator, weights: Floats) -> Ints:
    """One column index per row, with the row's weights."""
    cumulated = np.cumsum(weights, axis=1)
    index: Ints = (rng.random(len(weights))[:, None] * cumulated[:, -1:] > cumulated).sum(axis=1)
    return index


def draw_alike(rng: np.random.Generator, weights: Floats, rows: int) -> Ints:
    """As `draw`, for `rows` rows that have the same weights."""
    cumulated = np.cumsum(weights)
    values = rng.random(rows) * cumulated[-1]
    index = np.zeros(rows, dtype=np.int64)
    for threshold in cumulated:
        index += values > threshold
    return index


def pick(rng: np.random.Generator, values: Texts, rows: int) -> Texts:
    """`rows` values, each as likely."""
    return values[rng.integers(0, len(values), rows)]


def days(values: Floats) -> npt.NDArray[np.timedelta64]:
    """Days as a duration, to the millisecond."""
    return (values * MILLISECONDS_PER_DAY).astype("timedelta64[ms]")


def numbered(prefix: str, numbers: Ints, width: int, suffix: str = "") -> Texts:
    """Record ids such as `pv-000000042`."""
    return objects([f"{prefix}{number:0{width}d}{suffix}" for number in numbers.tolist()])


def salesforce_ids(prefix: str, numbers: Ints) -> Texts:
    """Ids of 18 characters; the last three say which of the first 15 are capitals, five to a character."""
    capitals = sum(1 << place for place, letter in enumerate(prefix) if letter.isupper())
    return numbered(prefix, numbers, 10, f"{_CAPITALS[capitals]}AA")


def shorten_some(rng: np.random.Generator, ids: Texts, share: float) -> Texts:
    """Salesforce ids, a share of them in the 15 characters that its reports and old integrations write."""
    short = rng.random(len(ids)) < share
    return objects([id_[:15] if id_ and cut else id_ for id_, cut in zip(ids.tolist(), short.tolist())])


def moments_between(rng: np.random.Generator, start: Moments, end: Moments) -> Moments:
    """A moment in each span, the end excluded."""
    moments: Moments = start + ((end - start) * rng.random(len(start))).astype("timedelta64[ms]")
    return moments


def flag_texts(flags: Flags) -> Texts:
    """`true` and `false`."""
    return np.where(flags, "true", "false").astype(object)


def objects(values: list[Any]) -> Texts:
    """An array of Python objects, also of an empty list."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def are_known(values: Texts) -> Flags:
    """Which are not None."""
    return np.array([value is not None for value in values], dtype=bool)


def only_where(kept: Flags, values: Texts) -> Texts:
    """The values where `kept`, else None."""
    copy = values.copy()
    copy[~kept] = None
    return copy


def to_iso(moments: Moments, suffix: str) -> Texts:
    """`2026-03-01T10:00:00.000` and the suffix that the CRM writes for UTC."""
    texts: Texts = np.datetime_as_string(moments.astype("datetime64[ms]")).astype(object)
    suffixed: Texts = texts + suffix
    return suffixed


def to_dates(moments: Moments) -> Texts:
    """`2026-03-01`."""
    return np.datetime_as_string(moments.astype("datetime64[D]")).astype(object)
