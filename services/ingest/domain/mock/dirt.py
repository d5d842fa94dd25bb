"""What people and integrations do to a CRM. One defect per dirty row, so that each can be found again in quarantine."""

import html
from collections.abc import Callable, Mapping, Sequence
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
    """Spoils rows of one chunk: a method per defect, which takes the row's place and changes `texts` there.

    Draws follow one another row by row: another order of the rows would be other dirt.
    """

    def __init__(
        self, places: DirtyPlaces, clean: Mapping[str, Sequence[str | None]], rng: np.random.Generator
    ) -> None:
        self.places = places
        self.rng = rng
        self.clean = clean
        self.texts = {name: list(texts) for name, texts in clean.items()}
        self.arriving_last: list[tuple[int, Row]] = []
        """Further rows: the clean one at a place, but for some columns."""
        self.gone: list[int] = []
        self.kinds: list[tuple[float, Callable[[int], None]]] = [
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

    def unreadable_date(self, place: int) -> None:
        self.texts[self.choose(self.places.dates)][place] = self.choose(_UNREADABLE_DATES)

    def other_date_format(self, place: int) -> None:
        column = self.texts[self.choose(self.places.dates)]
        text = column[place]
        if not text:
            return
        moment, roll = _parse(text), self.rng.random()
        if roll < 0.35:
            column[place] = str(int(moment.timestamp() * 1000))
        elif roll < 0.65:
            column[place] = _to_excel(moment)
        elif not self.places.day_first:
            column[place] = f"{moment.month}/{moment.day}/{moment.year}"
        elif moment.day > 12:  # else it would be another day to whoever reads the month first
            column[place] = f"{moment.day:02d}-{moment.month:02d}-{moment.year}"

    def boolean_spelling(self, place: int) -> None:
        column = self.texts[self.choose(self.places.flags)]
        if column[place]:
            column[place] = self.choose(_TRUE_SPELLINGS if column[place] == "true" else _FALSE_SPELLINGS)

    def null_id(self, place: int) -> None:
        self.texts[self.choose(self.places.ids)][place] = None if self.rng.random() < 0.5 else ""

    def padded_id(self, place: int) -> None:
        column = self.texts[self.choose(self.places.ids)]
        before, after = (("  ", ""), ("", " "), ("\t", " "))[int(self.rng.integers(0, 3))]
        if column[place]:
            column[place] = f"{before}{column[place]}{after}"

    def case_and_space(self, place: int) -> None:
        column = self.texts[self.choose(self.places.words)]
        text = column[place]
        if text:
            column[place] = (text.upper(), f"  {text.title()} ", f"{text}\u00a0")[int(self.rng.integers(0, 3))]

    def html_entity(self, place: int) -> None:
        column = self.texts[self.choose(self.places.names)]
        text = column[place]
        if text:
            escaped = html.escape(text)
            column[place] = escaped if escaped != text else text.replace(" ", "&nbsp;", 1)

    def currency_text(self, place: int) -> None:
        column = self.texts[self.choose(self.places.money)]
        text = column[place]
        if not text:
            return
        amount = float(text)
        pointed = f"{amount:,.2f}"
        swapped = pointed.replace(",", " ").replace(".", ",").replace(" ", ".")
        code = (self.clean[self.places.currency][place] if self.places.currency else None) or "USD"
        if code == "USD":
            texts = (f"${pointed}", f"USD {amount:,.0f}", pointed, swapped, f"$ {pointed} ")
        else:  # a sign would contradict the row's currency
            texts = (pointed, f"{code} {pointed}", pointed, swapped, swapped)
        column[place] = texts[int(self.rng.integers(0, len(texts)))]

    def negative_amount(self, place: int) -> None:
        column = self.texts[self.choose(self.places.money)]
        if column[place]:
            column[place] = f"-{column[place]}"

    def exact_duplicate(self, place: int) -> None:
        self.arriving_last.append((place, {}))

    def newer_version(self, place: int) -> None:
        """An outdated version first, the current one at the end of the stream."""
        self.arriving_last.append((place, {}))
        for name, text in self._outdate(place).items():
            self.texts[name][place] = text

    def older_version(self, place: int) -> None:
        """The current version first; an outdated one arrives after it and must not win."""
        self.arriving_last.append((place, self._outdate(place)))

    def late_arrival(self, place: int) -> None:
        """Happened weeks before it arrives, at the end of the stream."""
        self.gone.append(place)
        self.arriving_last.append((place, self._happened_before(place, float(self.rng.uniform(*_LATE_DAYS)))))

    def _outdate(self, place: int) -> Row:
        outdated = self._happened_before(place, 2 + 60 * float(self.rng.random()))
        column = self.places.versioned
        text = self.clean[column][place] if column else None
        if column and text:
            outdated[column] = str(int(float(text) * 0.8)) if text[0].isdigit() else "Operations Assistant"
        return outdated

    def _happened_before(self, place: int, days: float) -> Row:
        stamp = self.places.stamp
        assert stamp is not None
        text = self.clean[stamp][place]
        return {stamp: _format_like(text, _parse(text) - timedelta(days=days))}


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
    names = PLACES[table].columns
    spoiler = _Spoiler(PLACES[table], {name: rows[name].to_numpy().tolist() for name in names}, rng)
    weights = np.array([0.07, *(weight for weight, _ in spoiler.kinds)])
    kinds = rng.choice(len(weights), rows.num_rows, p=weights / weights.sum())
    spoil_one = [lambda _place: None, *(defect for _, defect in spoiler.kinds)]
    for place, kind in enumerate(kinds.tolist()):
        spoil_one[kind](place)
    stays = np.ones(rows.num_rows, dtype=bool)
    stays[spoiler.gone] = False
    staying = np.flatnonzero(stays)
    origin = np.append(staying, np.array([place for place, _ in spoiler.arriving_last], dtype=np.int64))
    columns = {}
    for name in names:
        clean, texts = spoiler.clean[name], spoiler.texts[name]
        late = [changes.get(name, clean[place]) for place, changes in spoiler.arriving_last]
        columns[name] = to_pool([texts[place] for place in staying.tolist()] + late)
    is_deleted = rows["is_deleted"].to_numpy()[origin]
    is_deleted[: len(staying)] |= kinds[staying] == 0
    columns |= {**key_and_time(table, columns), "is_deleted": pa.array(is_deleted)}
    return _SpoiltRows(positions[origin], len(staying), columns)


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
