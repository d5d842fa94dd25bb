"""What people and integrations do to a CRM. One defect per dirty row, so that each can be found again in quarantine."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from services.ingest.domain.mock.arrays import Ints
from services.ingest.domain.mock.dirt_places import PLACES, DirtyPlaces
from services.ingest.domain.mock.rows import key_and_time
from services.ingest.domain.mock.texts import to_pool

Row: TypeAlias = dict[str, str | None]

_UNREADABLE_DATES: Final = ("N/A", "0000-00-00", "2026-13-45", "not set", "TBD")
_LATE_DAYS: Final = (30, 200)
_EXCEL_EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)
_TRUE_SPELLINGS: Final = ("TRUE", "True", "t", "yes", "Y", "1")
_FALSE_SPELLINGS: Final = ("FALSE", "False", "f", "no", "N", "0")


class _Spoiler:
    """Spoils rows of one chunk. Every method takes a row that is its own to change."""

    def __init__(self, places: DirtyPlaces, rng: np.random.Generator) -> None:
        self.places = places
        self.rng = rng
        self.arriving_last: list[Row] = []
        self.kinds: list[tuple[float, Callable[[Row], Row | None]]] = [
            (0.05, self.null_id),
            (0.09, self.padded_id),
            (0.10, self.exact_duplicate),
        ]
        if places.dates:
            self.kinds += [(0.14, self.unreadable_date), (0.16, self.other_date_format)]
        if places.flags:
            self.kinds.append((0.08, self.boolean_spelling))
        if places.versioned:
            self.kinds += [(0.08, self.newer_version), (0.08, self.older_version)]
        if places.words:
            self.kinds.append((0.14, self.case_and_space))
        if places.names:
            self.kinds.append((0.08, self.html_entity))
        if places.money:
            self.kinds += [(0.08, self.currency_text), (0.03, self.negative_amount)]
        if places.may_be_late:
            self.kinds.append((0.10, self.late_arrival))

    def choose(self, texts: tuple[str, ...]) -> str:
        return texts[0] if len(texts) == 1 else texts[int(self.rng.integers(0, len(texts)))]

    def unreadable_date(self, row: Row) -> Row:
        row[self.choose(self.places.dates)] = self.choose(_UNREADABLE_DATES)
        return row

    def other_date_format(self, row: Row) -> Row:
        column = self.choose(self.places.dates)
        text = row[column]
        if not text:
            return row
        moment, roll = _parse(text), self.rng.random()
        if roll < 0.35:
            row[column] = str(int(moment.timestamp() * 1000))
        elif roll < 0.65:
            row[column] = _to_excel(moment)
        elif not self.places.day_first:
            row[column] = f"{moment.month}/{moment.day}/{moment.year}"
        elif moment.day > 12:  # else it would be another day to whoever reads the month first
            row[column] = f"{moment.day:02d}-{moment.month:02d}-{moment.year}"
        return row

    def boolean_spelling(self, row: Row) -> Row:
        column = self.choose(self.places.flags)
        if row[column]:
            row[column] = self.choose(_TRUE_SPELLINGS if row[column] == "true" else _FALSE_SPELLINGS)
        return row

    def null_id(self, row: Row) -> Row:
        row[self.choose(self.places.ids)] = None if self.rng.random() < 0.5 else ""
        return row

    def padded_id(self, row: Row) -> Row:
        column = self.choose(self.places.ids)
        before, after = (("  ", ""), ("", " "), ("\t", " "))[int(self.rng.integers(0, 3))]
        row[column] = f"{before}{row[column]}{after}" if row[column] else row[column]
        return row

    def case_and_space(self, row: Row) -> Row:
        column = self.choose(self.places.words)
        text = row[column]
        if text:
            row[column] = (text.upper(), f"  {text.title()} ", f"{text}\u00a0")[int(self.rng.integers(0, 3))]
        return row

    def html_entity(self, row: Row) -> Row:
        column = self.choose(self.places.names)
        text = row[column]
        if text:
            escaped = html.escape(text)
            row[column] = escaped if escaped != text else text.replace(" ", "&nbsp;", 1)
        return row

    def currency_text(self, row: Row) -> Row:
        column = self.choose(self.places.money)
        if not row[column]:
            return row
        amount = float(row[column] or 0)
        pointed = f"{amount:,.2f}"
        swapped = pointed.replace(",", " ").replace(".", ",").replace(" ", ".")
        code = (row.get(self.places.currency) if self.places.currency else None) or "USD"
        if code == "USD":
            texts = (f"${pointed}", f"USD {amount:,.0f}", pointed, swapped, f"$ {pointed} ")
        else:  # a sign would contradict the row's currency
            texts = (pointed, f"{code} {pointed}", pointed, swapped, swapped)
        row[column] = texts[int(self.rng.integers(0, len(texts)))]
        return row

    def negative_amount(self, row: Row) -> Row:
        column = self.choose(self.places.money)
        row[column] = f"-{row[column]}" if row[column] else row[column]
        return row

    def exact_duplicate(self, row: Row) -> Row:
        self.arriving_last.append(dict(row))
        return row

    def newer_version(self, row: Row) -> Row:
        """An outdated version first, the current one at the end of the stream."""
        self.arriving_last.append(dict(row))
        return self._outdate(row)

    def older_version(self, row: Row) -> Row:
        """The current version first; an outdated one arrives after it and must not win."""
        self.arriving_last.append(self._outdate(dict(row)))
        return row

    def late_arrival(self, row: Row) -> None:
        """Happened weeks before it arrives, at the end of the stream."""
        stamp = self.places.stamp
        assert stamp is not None
        moment = _parse(row[stamp]) - timedelta(days=float(self.rng.uniform(*_LATE_DAYS)))
        self.arriving_last.append({**row, stamp: _format_like(row[stamp], moment)})

    def _outdate(self, row: Row) -> Row:
        stamp, column = self.places.stamp, self.places.versioned
        assert stamp is not None
        before = _parse(row[stamp]) - timedelta(days=2 + 60 * float(self.rng.random()))
        row[stamp] = _format_like(row[stamp], before)
        text = row[column] if column else None
        if column and text:
            row[column] = str(int(float(text) * 0.8)) if text[0].isdigit() else "Operations Assistant"
        return row


@dataclass(frozen=True)
class _SpoiltRows:
    """First those that stay in their place, then those that arrive last; `origin` is the clean row of each."""

    origin: Ints
    staying: int
    columns: dict[str, pa.Array]
    """What a defect can touch, and what landing reads in it."""


def spoil(table: str, rows: pa.Table, dirt: float, rng: np.random.Generator) -> pa.Table:
    """The batch with `dirt` of its rows spoilt, further versions and latecomers at the end; some more are deleted.

    Only the dirty rows become Python objects, and of those only what a defect can touch. At dirt 0 the batch comes
    back as it is.
    """
    count = rows.num_rows
    dirty = np.flatnonzero(rng.random(count) < dirt)
    if not len(dirty) or not PLACES[table].ids:
        return rows
    spoilt = _spoil_rows(table, rows.select([*PLACES[table].columns, "is_deleted"]).take(pa.array(dirty)), dirty, rng)
    staying = spoilt.origin[: spoilt.staying]
    kept, chosen = np.ones(count, dtype=bool), np.arange(count)
    kept[dirty], kept[staying] = False, True
    chosen[staying] = count + np.arange(len(staying))
    chosen = pa.array(np.append(chosen[kept], np.arange(count + len(staying), count + len(spoilt.origin))))
    origin = pa.array(np.append(np.flatnonzero(kept), spoilt.origin[len(staying) :]))
    columns = [
        (
            pa.concat_arrays([*column.chunks, spoilt.columns[name]]).take(chosen)
            if name in spoilt.columns
            else column.take(origin)
        )
        for name, column in zip(rows.column_names, rows.columns)
    ]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _spoil_rows(table: str, rows: pa.Table, positions: Ints, rng: np.random.Generator) -> _SpoiltRows:
    """`rows`, which were at `positions`, each with its defect."""
    places = PLACES[table]
    spoiler = _Spoiler(places, rng)
    weights = np.array([0.07, *(weight for weight, _ in spoiler.kinds)])
    kinds = rng.choice(len(weights), rows.num_rows, p=weights / weights.sum())
    names = places.columns
    staying, origin, late_origin = list[Row](), list[int](), list[int]()
    for place, (kind, texts) in enumerate(zip(kinds.tolist(), zip(*(rows[name].to_numpy() for name in names)))):
        row: Row | None = dict(zip(names, texts))
        if kind:
            row = spoiler.kinds[kind - 1][1](row)
            late_origin += [place] * (len(spoiler.arriving_last) - len(late_origin))
        if row is not None:
            staying.append(row)
            origin.append(place)
    spoilt = staying + spoiler.arriving_last
    columns = {name: to_pool([row[name] for row in spoilt]) for name in names}
    origins = np.array(origin + late_origin, dtype=np.int64)
    is_deleted = rows["is_deleted"].to_numpy()[origins]
    is_deleted[: len(staying)] |= kinds[origin] == 0
    columns |= {**key_and_time(table, columns), "is_deleted": pa.array(is_deleted)}
    return _SpoiltRows(positions[origins], len(staying), columns)


def _parse(text: str | None) -> datetime:
    """A clean moment of the generator: ISO, with `Z`, `+0000` or as a date."""
    assert text is not None
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _format_like(clean: str | None, moment: datetime) -> str:
    suffix = "+0000" if (clean or "").endswith("+0000") else "Z"
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + suffix


def _to_excel(moment: datetime) -> str:
    """Days since 1899-12-30, as a spreadsheet that was opened and saved once leaves them."""
    days = (moment - _EXCEL_EPOCH) / timedelta(days=1)
    return f"{days:.0f}" if days == int(days) else f"{days:.6f}"
