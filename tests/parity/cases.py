"""What is landed in both warehouses: a first load, and one that changes it, so that incremental paths count."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from tests.conftest import REPOSITORY

EXPORTS: Final = REPOSITORY.parent / "shared" / "data"
# Moments of the loads, the same in both warehouses.
MOMENTS: Final = (datetime(2026, 3, 1, 20, 15, 0, 123_456), datetime(2026, 3, 8, 6, 30, 59, 7))
_DAYS: Final = (date(2026, 3, 1), date(2026, 3, 8))
_SOURCES: Final = REPOSITORY / "config" / "sources"
_RAVENSTACK: Final = REPOSITORY / "tests" / "ingest" / "mappings"
_RATES: Final = '{"USD": 1, "EUR": 1.1}'
_EVERY: Final = 7

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Load:
    """Syncs of one moment, and the day on which the build after them stands."""

    moment: datetime
    day: date
    syncs: tuple[Request, ...]


@dataclass(frozen=True)
class Case:
    """`loads` are made in a folder of the case's own; `settings` are those of the transform service."""

    name: str
    loads: Callable[[Path], tuple[Load, ...]]
    sources_dir: Path = _SOURCES
    settings: Mapping[str, Any] = field(default_factory=dict)
    ends_with_full_refresh: bool = False


def mock_case(
    dirt: float, *, accounts: int = 300, visits: int = 3000, loads_made: int = 2, ends_with_full_refresh: bool = False
) -> Case:
    """A market with this share of defects, and the same one a week later: new rows, changed rows, deleted ones."""

    def loads(_: Path) -> tuple[Load, ...]:
        options = {"accounts": accounts, "visits": visits, "dirt": dirt, "currencies": ["USD", "EUR"]}
        return tuple(
            Load(moment, day, ({"source": "mock", "options": {**options, "as_of": day.isoformat()}},))
            for moment, day in zip(MOMENTS[:loads_made], _DAYS[:loads_made], strict=True)
        )

    rates = {"GTM_USD_EXCHANGE_RATES": _RATES}
    return Case(f"mock, dirt {dirt:.0%}", loads, settings=rates, ends_with_full_refresh=ends_with_full_refresh)


def _export_case(name: str, folders: Mapping[str, str], sources_dir: Path, **settings: Any) -> Case:
    """Third-party exports as they are; then the same files with every 7th value of their last columns shifted."""

    def loads(folder: Path) -> tuple[Load, ...]:
        changed = {mapping: _shifted(EXPORTS / name, folder / name) for mapping, name in folders.items()}
        asked = [{mapping: EXPORTS / name for mapping, name in folders.items()}, changed]
        return tuple(
            Load(moment, day, tuple(_files(mapping, path) for mapping, path in paths.items()))
            for moment, day, paths in zip(MOMENTS, _DAYS, asked, strict=True)
        )

    # Guards of volume and share are for a company's own exports: these are small, and two weeks of them are none.
    lenient = {"GTM_QUARANTINE_FAIL_SHARE": 1, "GTM_QUARANTINE_WARN_SHARE": 1, "GTM_USD_EXCHANGE_RATES": _RATES}
    return Case(name, loads, sources_dir, {**lenient, **settings})


def _files(mapping: str, path: Path) -> Request:
    return {"source": "files", "mode": "full", "options": {"mapping": mapping, "path": str(path)}}


def _shifted(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.csv")):
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header, *rows = csv.reader(stream)
        for number in range(0, len(rows) - 1, _EVERY):
            if rows[number] and rows[number + 1]:
                rows[number][-1] = rows[number + 1][-1]
        with (target / path.name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([header, *rows])
    return target


def all_cases() -> list[Case]:
    """Those with third-party exports only where they lie beside the checkout."""
    cases = [mock_case(0, loads_made=1), mock_case(0.05, ends_with_full_refresh=True), mock_case(0.3)]
    if not EXPORTS.is_dir():
        return cases
    orders = '{"salesforce": "dmy", "billing": "dmy"}'
    return [
        *cases,
        _export_case("exports", {"hubspot_export": "hubspot_seeds", "salesforce_export": "salesforce_seeds"}, _SOURCES),
        _export_case("ravenstack", {"ravenstack": "ravenstack_saas"}, _RAVENSTACK, GTM_DATE_ORDERS=orders),
    ]
