"""A small RAW by hand: every kind of row that the firewall, the matching and the attribution must tell apart."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from tests.transform.raw_landing import LANDED_AT, Row, land_rows

__all__ = ["LANDED_AT", "ROWS", "Row", "land_rows"]

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
        {
            "id": "21",
            "dealname": "Sold",
            "amount": "900",
            "dealstage": "closedwon",
            "company_id": "2",
            "owner_id": "71",
        },
        {"id": "22", "dealname": "Dangling", "amount": None, "dealstage": "new", "company_id": "404"},
        {"id": "24", "dealname": "Associated", "amount": "50", "dealstage": "new"},
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
            "owner_id": "U1",
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
    "hubspot_pipeline_stages": [
        {"id": "new", "pipeline_id": "default", "label": "New", "is_closed": "FALSE", "probability": "0.1"},
        {
            "id": "closedwon",
            "pipeline_id": "default",
            "label": "Closed won",
            "is_closed": "TRUE",
            "closed_won": "TRUE",
            "probability": "1.0",
            "display_order": "5",
        },
        {"id": "limbo", "pipeline_id": "default", "label": "Limbo", "is_closed": "perhaps"},
    ],
    "hubspot_deal_stage_history": [
        {"deal_id": "21", "stage_id": "new", "entered_at": "2025-12-01T09:00:00Z"},
        {"deal_id": "21", "stage_id": "closedwon", "entered_at": "1769000000000"},
        {"deal_id": "22", "stage_id": None, "entered_at": "2026-01-05"},
    ],
    "hubspot_deal_companies": [{"deal_id": "24", "company_id": "7"}, {"deal_id": "24", "company_id": None}],
    "hubspot_deal_contacts": [{"deal_id": "24", "contact_id": "12.0"}],
    "hubspot_form_submissions": [
        {
            "id": "f1",
            "contact_id": "11",
            "form_id": "demo",
            "form_name": "Book a demo",
            "page_url": "https://fleet.example/demo",
            "submitted_at": "2026-02-10T10:00:00Z",
        },
        {"id": "f2", "contact_id": "11", "form_id": "demo"},
    ],
    "hubspot_email_events": [
        {
            "id": "e1",
            "event_type": "CLICK",
            "recipient": "ANN@miller-freight.com",
            "email_campaign_id": "900",
            "is_filtered": "false",
            "occurred_at": "1770800000000",
        },
        {"id": "e2", "event_type": "CLICK", "recipient": "bob@miller-freight.com", "is_filtered": "true"}
        | {"occurred_at": "2026-02-11 10:00:00"},
        {"id": "e3", "event_type": "OPEN", "recipient": "ann@miller-freight.com", "occurred_at": "13/13/2026"},
        {"id": "e4", "event_type": "OPEN", "recipient": "ann@miller-freight.com", "occurred_at": "2062-02-11"},
    ],
    "hubspot_email_campaigns": [{"id": "900", "name": "February &amp; news", "subject": "New routes"}],
    "hubspot_contact_merges": [{"surviving_id": "11", "merged_id": "19", "merged_at": "2026-02-01T00:00:00Z"}],
    "hubspot_deal_merges": [{"surviving_id": "21", "merged_id": "29", "merged_at": "2026-02-01T00:00:00Z"}],
    "salesforce_leads": [
        {
            "id": "00Q1G00000nDnM5UAK",
            "email": "ann@miller-freight.com",
            "company": "Miller Freight",
            "is_converted": "true",
            "converted_date": "2025-06-01",
            "converted_account_id": "SF1",
            "converted_contact_id": "C1",
            "created_date": "2025-05-01",
            "source_updated_at": datetime(2026, 1, 2),
        },
        {"id": "00Q1G00000nDnM5", "email": "old@miller-freight.com", "source_updated_at": datetime(2026, 1, 1)},
        {"id": "L2", "email": "zoe@site.lone-builders.example", "company": "Lone Builders", "created_date": "46023.5"},
        {"id": "L3", "company": "Counted wrongly", "number_of_employees": "lots"},
    ],
    "salesforce_campaigns": [
        {
            "id": "K1",
            "name": "Fleet expo",
            "type": "Conference",
            "start_date": "2026-02-01",
            "budgeted_cost": "$10,000",
        },
        {"id": "K2", "name": "Roadshow", "budgeted_cost": "10.000,00 €"},
    ],
    "salesforce_campaign_members": [
        {"id": "M1", "campaign_id": "K1", "contact_id": "C1", "has_responded": "true"}
        | {"first_responded_date": "2026-02-12"},
        {"id": "M2", "campaign_id": "K1", "lead_id": "L2", "has_responded": "false"},
        {
            "id": "M3",
            "campaign_id": "K1",
            "lead_id": "L2",
            "has_responded": "true",
            "first_responded_date": "2099-01-01",
        },
    ],
    "salesforce_tasks": [
        {"id": "T1", "account_id": "SF1", "subject": "Call", "status": "Completed", "activity_date": "2026-02-01"},
        {"id": "T2", "account_id": "SF3", "subject": "Mail", "status": "Not Started", "activity_date": "next week"},
    ],
    "hubspot_owners": [
        {"id": "71", "email": "dee@fleet.example", "first_name": "Dee", "last_name": "Roy", "archived": "true"}
        | {"is_deleted": True},
        {"id": "72", "email": "kim@fleet.example", "archived": "false", "created_at": "a while ago"},
    ],
    "hubspot_contact_companies": [
        {"contact_id": "13", "company_id": "2", "label": "Primary"},
        {"contact_id": "13", "company_id": None},
    ],
    "hubspot_properties": [
        {"object_type": "deals", "name": "amount", "label": "Amount", "type": "number", "field_type": "number"}
    ],
    "salesforce_opportunity_contact_roles": [
        {"id": "R1", "opportunity_id": "O1", "contact_id": "C1", "role": "Decision maker", "is_primary": "true"},
        {"id": "R2", "opportunity_id": None, "contact_id": "C1"},
    ],
    "salesforce_events": [
        {"id": "E1", "what_id": "O1", "who_id": "C1", "owner_id": "U1", "subject": "Demo", "duration_in_minutes": "45"}
        | {"activity_date_time": "2026-01-20T10:00:00.000+0000"},
        {"id": "E2", "who_id": "C1", "subject": "Lunch", "duration_in_minutes": "long"},
    ],
    "salesforce_users": [
        {"id": "U1", "name": "Flo Ash", "email": "flo@fleet.example", "is_active": "TRUE"},
        {"id": "U2", "name": "Gus Fox", "is_active": "perhaps"},
    ],
    "billing_subscriptions": [
        {"id": "B1", "salesforce_account_id": "SF1", "plan": "Pro", "arr": "$100.00", "started_at": "2/1/2026"},
        {"id": "B2", "hubspot_company_id": "2.0", "arr": "900", "seats": "12", "started_at": "2026-01-15"},
        {"id": "B3", "salesforce_account_id": "SF3", "arr": "50", "started_at": "2026-02-01", "ended_at": "2026-01-01"},
        {"id": "B4", "customer_domain": "www.gone.example", "started_at": "2026-02-01"},
    ],
}
