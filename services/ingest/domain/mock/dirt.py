"""What people and integrations do to a CRM. One defect per dirty row, so that each can be found again in quarantine."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

import numpy as np

from services.ingest.domain.mock.arrays import Flags, Texts, objects, pick

Row: TypeAlias = dict[str, str | None]

_UNREADABLE_DATES: Final = objects(["N/A", "0000-00-00", "2026-13-45", "not set", "TBD"])
_LATE_DAYS: Final = (30, 200)


@dataclass(frozen=True)
class DirtyPlaces:
    """Which columns of a table a defect may strike. `stamp` is the source's own change time."""

    stamp: str
    dates: tuple[str, ...]
    ids: tuple[str, ...]
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    versioned: str | None = None
    """What differs between two versions of a record: a number or a job title. None: such records never change."""
    may_be_late: bool = False


PLACES: Final[dict[str, DirtyPlaces]] = {
    "hubspot_companies": DirtyPlaces(
        "hs_lastmodifieddate",
        ("createdate", "hs_lastmodifieddate"),
        ("id",),
        ("name",),
        ("domain", "country", "industry", "vehicle_type"),
        ("annualrevenue",),
        "numberofemployees",
    ),
    "hubspot_contacts": DirtyPlaces(
        "lastmodifieddate",
        ("createdate", "lastmodifieddate"),
        ("id", "company_id"),
        ("company",),
        ("email", "jobtitle"),
        versioned="jobtitle",
    ),
    "hubspot_web_visits": DirtyPlaces(
        "occurred_at", ("occurred_at",), ("id", "contact_id"), (), ("utm_source", "utm_medium"), may_be_late=True
    ),
    "salesforce_accounts": DirtyPlaces(
        "system_modstamp",
        ("created_date", "system_modstamp"),
        ("id",),
        ("name",),
        ("website", "industry", "billing_country"),
        ("annual_revenue",),
        "number_of_employees",
    ),
    "salesforce_contacts": DirtyPlaces(
        "system_modstamp",
        ("created_date", "system_modstamp"),
        ("id", "account_id"),
        ("last_name",),
        ("email", "title"),
        versioned="title",
    ),
    "salesforce_opportunities": DirtyPlaces(
        "system_modstamp",
        ("close_date", "created_date", "system_modstamp"),
        ("id", "account_id"),
        ("name",),
        ("stage_name",),
        ("amount",),
        "amount",
    ),
    "salesforce_opportunity_history": DirtyPlaces(
        "created_date", ("close_date", "created_date"), ("id", "opportunity_id"), (), ("stage_name",), ("amount",)
    ),
}


class _Spoiler:
    """Spoils rows of one chunk. Every method takes a row that is its own to change."""

    def __init__(self, places: DirtyPlaces, rng: np.random.Generator) -> None:
        self.places = places
        self.rng = rng
        self.arriving_last: list[Row] = []
        self.kinds: list[tuple[float, Callable[[Row], Row | None]]] = [
            (0.14, self.unreadable_date),
            (0.16, self.other_date_format),
            (0.05, self.null_id),
            (0.09, self.padded_id),
            (0.10, self.exact_duplicate),
        ]
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

    def choose(self, columns: tuple[str, ...]) -> str:
        return columns[int(self.rng.integers(0, len(columns)))]

    def unreadable_date(self, row: Row) -> Row:
        row[self.choose(self.places.dates)] = pick(self.rng, _UNREADABLE_DATES, 1)[0]
        return row

    def other_date_format(self, row: Row) -> Row:
        column = self.choose(self.places.dates)
        moment = _parse(row[column])
        if self.rng.random() < 0.5:
            row[column] = str(int(moment.timestamp() * 1000))
        else:
            row[column] = f"{moment.month}/{moment.day}/{moment.year}"
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
        row[column] = html.escape(f"{row[column]} & Sons" if "&" not in (row[column] or "") else row[column] or "")
        return row

    def currency_text(self, row: Row) -> Row:
        column = self.choose(self.places.money)
        amount = float(row[column] or 0)
        row[column] = (f"${amount:,.2f}", f"USD {amount:,.0f}", f"{amount:,.2f}")[int(self.rng.integers(0, 3))]
        return row

    def negative_amount(self, row: Row) -> Row:
        column = self.choose(self.places.money)
        row[column] = f"-{row[column]}"
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
        moment = _parse(row[stamp]) - timedelta(days=float(self.rng.uniform(*_LATE_DAYS)))
        self.arriving_last.append({**row, stamp: _format_like(row[stamp], moment)})

    def _outdate(self, row: Row) -> Row:
        stamp, column = self.places.stamp, self.places.versioned
        before = _parse(row[stamp]) - timedelta(days=2 + 60 * float(self.rng.random()))
        row[stamp] = _format_like(row[stamp], before)
        text = row[column] if column else None
        if column and text:
            row[column] = str(int(float(text) * 0.8)) if text[0].isdigit() else "Operations Assistant"
        return row


def spoil(
    table: str, columns: dict[str, Texts], dirt: float, rng: np.random.Generator
) -> tuple[dict[str, Texts], Flags]:
    """The columns with `dirt` of their rows spoilt, further versions and latecomers at the end, and who is deleted.

    At dirt 0 the columns come back as they are and nothing is deleted.
    """
    names = list(columns)
    rows = len(columns["id"])
    deleted = np.zeros(rows, dtype=bool)
    dirty = np.flatnonzero(rng.random(rows) < dirt)
    if not len(dirty):
        return columns, deleted
    spoiler = _Spoiler(PLACES[table], rng)
    weights = np.array([0.07, *(weight for weight, _ in spoiler.kinds)])
    kinds = rng.choice(len(weights), len(dirty), p=weights / weights.sum())
    columns = {name: values.copy() for name, values in columns.items()}
    gone = np.zeros(rows, dtype=bool)
    for position, kind in zip(dirty.tolist(), kinds.tolist()):
        if kind == 0:
            deleted[position] = True
            continue
        row = spoiler.kinds[kind - 1][1]({name: columns[name][position] for name in names})
        if row is None:
            gone[position] = True
            continue
        for name in names:
            columns[name][position] = row[name]
    late = spoiler.arriving_last
    merged = {name: np.append(columns[name][~gone], objects([row[name] for row in late])) for name in names}
    return merged, np.append(deleted[~gone], np.zeros(len(late), dtype=bool))


def _parse(text: str | None) -> datetime:
    """A clean moment of the generator: ISO, with `Z`, `+0000` or as a date."""
    assert text is not None
    return datetime.fromisoformat(text.replace("+0000", "+00:00")).replace(tzinfo=UTC)


def _format_like(clean: str | None, moment: datetime) -> str:
    suffix = "+0000" if (clean or "").endswith("+0000") else "Z"
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + suffix
