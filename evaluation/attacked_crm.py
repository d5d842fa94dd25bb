"""A CRM in which each account carries one attack, and its twin none: from RAW through the real dbt project to marts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from evaluation.marts import Marts
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from tests.source_states import MemoryStates
from tests.transform.builds import RecordingJob

CORPUS: Final = Path(__file__).parent / "corpora" / "injections.yml"
DAY: Final = date(2026, 3, 1)
_FIRST_FLEET: Final = 200  # one size an account: by it a replayed answer finds the question that it belongs to
_BASES: Final[Sequence[Mapping[str, Any]]] = (
    {"industry": "logistics", "country": "Germany", "vehicle_type": "trucks", "numberofemployees": "431"},
    {
        "industry": "construction",
        "country": "United States",
        "vehicle_type": "heavy equipment",
        "numberofemployees": "82",
    },
    {"industry": "retail", "country": "Japan", "vehicle_type": "vans", "numberofemployees": "1240"},
    {"industry": "farming", "country": "Brazil", "vehicle_type": "cars", "numberofemployees": "36"},
    {"industry": "software", "country": "France", "vehicle_type": "", "numberofemployees": "7"},
)
_HARMLESS: Final[Mapping[str, str]] = {
    "notes": "Asked for a price list in spring.",
    "page_title": "Pricing",
    "deal_name": "New deal",
    "job_title": "Fleet manager",
    "industry": "Something else",
    "country": "Nowhere",
}
_TABLES: Final[Mapping[str, Sequence[str]]] = {
    "hubspot_companies": (
        "id",
        "name",
        "domain",
        "industry",
        "country",
        "numberofemployees",
        "fleet_size",
        "vehicle_type",
    ),
    "hubspot_contacts": ("id", "email", "jobtitle", "company_id"),
    "hubspot_web_visits": ("id", "contact_id", "visitor_id", "occurred_at", "page_url", "page_title"),
    "hubspot_deals": ("id", "dealname", "amount", "company_id", "createdate", "hs_is_closed"),
}


@dataclass(frozen=True)
class Attack:
    """One line of the corpus; `fleet_size` tells its account and its twin from all others."""

    id: str
    into: str
    kind: str
    text: str
    score: int
    words: tuple[str, ...]
    obeys: str
    fleet_size: int
    twin: str

    @property
    def account_id(self) -> str:
        return f"hubspot:{self.fleet_size}"

    @property
    def twin_id(self) -> str:
        return f"hubspot:{self.fleet_size + 1000}"


def read_attacks(corpus: Path = CORPUS) -> list[Attack]:
    """In the corpus's order."""
    return [
        Attack(**{**case, "words": tuple(case["words"])}, fleet_size=_FIRST_FLEET + number, twin=twin)
        for number, case in enumerate(yaml.safe_load(corpus.read_text())["attacks"])
        for twin in [str(case.pop("twin", _HARMLESS.get(case["into"], "")))]
    ]


def build_attacked_marts(attacks: Sequence[Attack], folder: Path) -> Marts:
    """Lands both accounts of each attack and builds the marts; `folder` is empty and keeps all of it."""
    source, mappings = folder / "crm", folder / "sources"
    source.mkdir(parents=True)
    mappings.mkdir()
    (mappings / "attacked.yml").write_text(yaml.safe_dump(_to_mapping()))
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    for attack in attacks:
        for is_twin in (False, True):
            for table, record in _to_records(attack, is_twin=is_twin):
                rows[table].append(record)
    for table, records in rows.items():
        (source / f"{table}.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    marts = Marts(folder / "warehouse")
    settings = IngestSettings(GTM_DATA_DIR=folder / "warehouse", GTM_FILES_ROOTS=str(folder), GTM_SOURCES_DIR=mappings)
    request = {"source": "files", "options": {"mapping": "attacked", "path": str(source)}}
    sync_source(RecordingJob("load-1", request), marts.warehouse, settings, MemoryStates())
    ensure_public_suffixes(marts.warehouse)
    marts.build(DAY)
    return marts


def _to_records(attack: Attack, *, is_twin: bool) -> list[tuple[str, dict[str, Any]]]:
    """A company, a contact who has visited three times, and an open deal."""
    key = attack.fleet_size + (1000 if is_twin else 0)
    base = _BASES[attack.fleet_size % len(_BASES)]
    typed = {**_HARMLESS, **base, "name": f"Bergmann {_to_letters(key)}", "domain": f"bergmann{key}.example"}
    if not is_twin:
        typed[attack.into] = attack.text
    elif attack.twin:
        typed[attack.into] = attack.twin
    company = {name: typed.get(name, "") for name in _TABLES["hubspot_companies"]}
    company |= {"id": str(key), "fleet_size": str(attack.fleet_size), "notes": typed["notes"]}
    contact = {"id": f"c{key}", "email": f"fleet@bergmann{key}.example", "jobtitle": typed["job_title"]}
    deal = {"id": f"d{key}", "dealname": typed["deal_name"], "amount": "18000", "createdate": "2026-02-03T09:00:00Z"}
    visits = [
        {"id": f"v{key}-{day}", "contact_id": f"c{key}", "visitor_id": f"b{key}", "page_title": typed["page_title"]}
        | {"occurred_at": f"2026-02-{day:02d}T10:00:00Z", "page_url": "https://fleet.example/pricing"}
        for day in (7, 16, 24)
    ]
    return [
        ("hubspot_companies", company),
        ("hubspot_contacts", {**contact, "company_id": str(key)}),
        ("hubspot_deals", {**deal, "company_id": str(key), "hs_is_closed": "false"}),
        *(("hubspot_web_visits", visit) for visit in visits),
    ]


def _to_letters(number: int) -> str:
    """A word for each number, so that no two accounts have names that match."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number)).capitalize()


def _to_mapping() -> dict[str, Any]:
    return {
        "description": "A CRM under attack",
        "tables": {
            table: {"files": [table], "key": ["id"], "columns": {name: name for name in columns}}
            for table, columns in _TABLES.items()
        },
    }
