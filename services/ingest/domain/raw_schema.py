"""What each RAW table takes from its source (docs/contracts.md), apart from any warehouse."""

from typing import Final

# table -> (grain, source columns). Every source column is text, exactly as the source wrote it.
_TABLES: Final[dict[str, tuple[str, str]]] = {
    "hubspot_companies": (
        "One row per HubSpot company",
        "id name domain industry city state country numberofemployees annualrevenue lifecyclestage fleet_size "
        "vehicle_type salesforce_account_id createdate hs_lastmodifieddate",
    ),
    "hubspot_contacts": (
        "One row per HubSpot contact",
        "id email firstname lastname jobtitle phone company_id company lifecyclestage hs_merged_object_ids createdate "
        "lastmodifieddate",
    ),
    "hubspot_deals": (
        "One row per HubSpot deal",
        "id dealname amount deal_currency_code pipeline dealstage hs_is_closed hs_is_closed_won company_id owner_id "
        "closedate createdate hs_lastmodifieddate",
    ),
    "hubspot_web_visits": (
        "One row per page view that HubSpot's tracking saw",
        "id contact_id visitor_id occurred_at page_url page_title referrer utm_source utm_medium utm_campaign",
    ),
    "salesforce_accounts": (
        "One row per Salesforce account",
        "id name website industry type billing_city billing_state billing_country number_of_employees annual_revenue "
        "fleet_size vehicle_type hubspot_company_id master_record_id owner_id created_date system_modstamp",
    ),
    "salesforce_contacts": (
        "One row per Salesforce contact",
        "id account_id email first_name last_name title phone lead_source master_record_id created_date "
        "system_modstamp",
    ),
    "salesforce_opportunities": (
        "One row per Salesforce opportunity",
        "id account_id name amount currency_iso_code stage_name type lead_source probability is_closed is_won "
        "close_date created_date system_modstamp",
    ),
    "salesforce_opportunity_history": (
        "One row per version of a Salesforce opportunity",
        "id opportunity_id stage_name amount probability close_date created_date",
    ),
}

RAW_TABLE_NAMES: Final[tuple[str, ...]] = tuple(_TABLES)


def grain(table: str) -> str:
    """What one row of the table is."""
    return _TABLES[table][0]


def source_columns(table: str) -> list[str]:
    """The columns that a source fills, in the contract's order, without `extra`."""
    return _TABLES[table][1].split()


def source_system(table: str) -> str:
    """`hubspot` or `salesforce`: the CRM whose records the table holds."""
    return table.split("_", 1)[0]
