"""Hand-made rows into RAW, as ingest would have landed them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables, loads
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from shared.warehouse import Warehouse

LANDED_AT = datetime(2026, 3, 1, 6)

Row = Mapping[str, str | bool | datetime | None]

# Tables without an id of their own: the columns that ingest joins to the key.
_KEYS: Mapping[str, tuple[str, str]] = {
    "hubspot_contact_companies": ("contact_id", "company_id"),
    "hubspot_properties": ("object_type", "name"),
    "hubspot_deal_stage_history": ("deal_id", "entered_at"),
    "hubspot_deal_companies": ("deal_id", "company_id"),
    "hubspot_deal_contacts": ("deal_id", "contact_id"),
    "hubspot_contact_merges": ("surviving_id", "merged_id"),
    "hubspot_deal_merges": ("surviving_id", "merged_id"),
}


def land_rows(warehouse: Warehouse, rows: Mapping[str, Sequence[Row]]) -> None:
    """Create RAW and insert the rows, as ingest would have landed them: with what each load read in `raw.loads`."""
    ensure_public_suffixes(warehouse)
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        for name, records in rows.items():
            landed = [_landed(name, number, row) for number, row in enumerate(records)]
            connection.execute(sa.insert(RAW_TABLES[name]), landed)
            connection.execute(sa.insert(loads), _loads(name, landed))


def _landed(name: str, number: int, row: Row) -> dict[str, Any]:
    key = [row.get(column) for column in _KEYS.get(name, ("id",))]
    return {
        **{column.name: None for column in RAW_TABLES[name].columns},
        "source_system": name.split("_")[0],
        "source_record_id": "|".join(str(part) for part in key),
        "is_deleted": False,
        "row_hash": f"{name}-{number}",
        "load_id": "load-1",
        "loaded_at": LANDED_AT,
        **row,
    }


def _loads(name: str, landed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    batches = Counter((row["load_id"], row["loaded_at"]) for row in landed)
    return [
        {
            "load_id": load_id,
            "source": "by-hand",
            "source_system": name.split("_")[0],
            "source_table": name,
            "mode": "full",
            "is_complete": True,
            "is_baseline": False,
            "seen": rows,
            "inserted": rows,
            "updated": 0,
            "unchanged": 0,
            "duplicates": 0,
            "rejected": 0,
            "deleted": 0,
            "loaded_at": loaded_at,
        }
        for (load_id, loaded_at), rows in batches.items()
    ]
