"""A small RAW by hand: every kind of row that the firewall, the matching and the attribution must tell apart."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables
from shared.warehouse import Warehouse

LANDED_AT = datetime(2026, 3, 1, 6)

Row = Mapping[str, str | bool | None]

ROWS: Mapping[str, Sequence[Row]] = {
    "hubspot_companies": [
        {
            "id": "1",
            "name": "Miller &amp; Sons Freight",
            "domain": "https://www.miller-freight.com/",
            "industry": "LOGISTICS_AND_SUPPLY_CHAIN",
            "country": "usa",
            "numberofemployees": "1,200",
            "annualrevenue": "$5,000,000.00",
            "fleet_size": "240",
            "vehicle_type": "trucks",
            "lifecyclestage": "opportunity",
            "salesforce_account_id": "SF1",
            "createdate": "2024-03-05T07:08:09.123Z",
        },
        {"id": "2", "name": "Green Farms", "domain": "GREENFARMS.example", "createdate": "1709622489123"},
        {"id": "3", "name": "Gone", "domain": "gone.example", "createdate": "2024-01-01", "is_deleted": True},
        {"id": "4", "name": "Bad date", "createdate": "2026-13-45"},
        {"id": "5", "name": "Bad twice", "fleet_size": "about forty", "createdate": "TBD"},
        {"id": None, "source_record_id": "keyless:0af1", "name": "No key", "createdate": "2024-01-01"},
        {"id": "7", "createdate": "N/A"},
    ],
    "hubspot_contacts": [
        {"id": "11", "email": "Ann@Miller-Freight.com", "company_id": "1", "createdate": "3/5/2024"},
        {"id": "12", "email": "bob@miller-freight.com", "createdate": "2024-03-05 7:08:09"},
        {"id": "13", "email": "cy@gmail.com", "createdate": "2024-03-05"},
        {"id": "14", "email": "eve@greenfarms.example", "company_id": "2", "createdate": "yesterday"},
    ],
    "hubspot_deals": [
        {"id": "21", "dealname": "Sold", "amount": "900", "dealstage": "closedwon", "company_id": "2"},
        {"id": "22", "dealname": "Dangling", "amount": None, "dealstage": "new", "company_id": "404"},
        {"id": "23", "dealname": "Euros", "amount": "12.500,00 €", "dealstage": "new", "company_id": "1"},
    ],
    "hubspot_web_visits": [
        {
            "id": "v1",
            "contact_id": "11",
            "visitor_id": "b1",
            "occurred_at": "2026-01-10T09:00:00Z",
            "utm_medium": "cpc",
        },
        {"id": "v2", "contact_id": "12", "visitor_id": "b2", "occurred_at": "2026-01-10T09:00:00Z"},
        {"id": "v3", "contact_id": None, "visitor_id": "b1", "occurred_at": "1/31/2026 22:00"},
        {
            "id": "v4",
            "contact_id": "11",
            "visitor_id": "b1",
            "occurred_at": "2026-02-20T09:00:00+01:00",
            "page_url": "https://fleet.example/pricing?plan=pro",
        },
        {"id": "v5", "contact_id": None, "visitor_id": "stranger", "occurred_at": "2026-02-20T09:00:00Z"},
        {"id": "v6", "contact_id": "404", "visitor_id": "b9", "occurred_at": "2026-02-20T09:00:00Z"},
        {"id": "v7", "contact_id": "11", "visitor_id": "b1", "occurred_at": None},
        {"id": "v8", "contact_id": "11", "visitor_id": "b1", "occurred_at": "0000-00-00"},
    ],
    "salesforce_accounts": [
        {
            "id": "SF1",
            "name": "MILLER FREIGHT INC",
            "website": "other.example",
            "number_of_employees": "7",
            "created_date": "2023-01-01T00:00:00.000+0000",
        },
        {"id": "SF2", "name": "Green Farms Ltd", "website": "www.greenfarms.example", "created_date": "2025-01-01"},
        {"id": "SF3", "name": "Lone Builders", "industry": "Construction", "created_date": "2025-01-01"},
        {"id": "SF4", "name": "Ciphered", "annual_revenue": "TDK+SgtPSM3Vk67zX9aeRA==", "created_date": "2025-01-01"},
    ],
    "salesforce_contacts": [
        {"id": "C1", "account_id": "SF1", "email": "ann@miller-freight.com", "created_date": "2025-01-01"},
        {"id": "C2", "account_id": "SF3", "email": "not an address", "created_date": "2025-01-01"},
    ],
    "salesforce_opportunities": [
        {
            "id": "O1",
            "account_id": "SF1",
            "amount": "$100.00",
            "stage_name": "CLOSED WON",
            "is_closed": "TRUE",
            "is_won": "1",
            "close_date": "2026-01-31",
        },
        {"id": "O2", "account_id": "SF1", "amount": "20,000", "stage_name": "Proposal", "close_date": "6/30/2026"},
        {"id": "O3", "account_id": "SF3", "amount": "300", "stage_name": "Closed Lost", "close_date": "2026-01-15"},
        {"id": "O4", "account_id": "SF1", "amount": "-5", "stage_name": "Closed Won", "is_won": "true"},
        {"id": "O5", "account_id": "SF1", "amount": "12k", "stage_name": "Proposal", "close_date": "soon"},
        {"id": "O6", "account_id": "SF1", "amount": "70", "stage_name": "Closed Won", "is_deleted": True},
    ],
    "salesforce_opportunity_history": [
        {"id": "H1", "opportunity_id": "O1", "stage_name": "Proposal", "created_date": "2026-01-02T00:00:00Z"},
        {"id": "H2", "opportunity_id": "O1", "probability": "likely", "created_date": "2026-01-03T00:00:00Z"},
    ],
}


def land_rows(warehouse: Warehouse, rows: Mapping[str, Sequence[Row]]) -> None:
    """Create the RAW tables and insert the rows, as ingest would have landed them."""
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        for name, records in rows.items():
            table = RAW_TABLES[name]
            connection.execute(sa.insert(table), [_landed(name, table, number, r) for number, r in enumerate(records)])


def _landed(name: str, table: sa.Table, number: int, row: Row) -> dict[str, object]:
    return {
        **{column.name: None for column in table.columns},
        "source_system": name.split("_")[0],
        "source_record_id": row.get("id"),
        "is_deleted": False,
        "row_hash": f"{name}-{number}",
        "load_id": "load-1",
        "loaded_at": LANDED_AT,
        **row,
    }
