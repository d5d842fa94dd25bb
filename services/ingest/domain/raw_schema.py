"""What each RAW table takes from its source (docs/contracts.md), apart from any warehouse."""

from typing import Final

# table -> (grain, source columns). Every source column is text, exactly as the source wrote it.
_TABLES: Final[dict[str, tuple[str, str]]] = {
    "hubspot_companies": (
        "One row per HubSpot company",
        "id name domain industry city state country numberofemployees annualrevenue lifecyclestage fleet_size "
        "vehicle_type salesforce_account_id createdate hs_lastmodifieddate hs_merged_object_ids",
    ),
    "hubspot_contacts": (
        "One row per HubSpot contact",
        "id email firstname lastname jobtitle phone company_id company lifecyclestage hs_merged_object_ids createdate "
        "lastmodifieddate salesforce_contact_id salesforce_lead_id",
    ),
    "hubspot_deals": (
        "One row per HubSpot deal",
        "id dealname amount deal_currency_code pipeline dealstage hs_is_closed hs_is_closed_won company_id owner_id "
        "closedate createdate hs_lastmodifieddate dealtype salesforce_opportunity_id hs_merged_object_ids",
    ),
    "hubspot_web_visits": (
        "One row per page view that HubSpot's tracking saw",
        "id contact_id visitor_id occurred_at page_url page_title referrer utm_source utm_medium utm_campaign",
    ),
    "hubspot_pipeline_stages": (
        "One row per stage of a HubSpot deal pipeline",
        "id pipeline_id label is_closed closed_won probability display_order",
    ),
    "hubspot_deal_stage_history": (
        "One row per moment at which a HubSpot deal entered a stage",
        "deal_id stage_id entered_at",
    ),
    "hubspot_deal_companies": (
        "One row per HubSpot deal and company associated with it",
        "deal_id company_id",
    ),
    "hubspot_deal_contacts": (
        "One row per HubSpot deal and contact associated with it",
        "deal_id contact_id",
    ),
    "hubspot_form_submissions": (
        "One row per form that a HubSpot contact sent",
        "id contact_id form_id form_name page_url submitted_at",
    ),
    "hubspot_email_events": (
        "One row per thing that happened to a marketing email of one recipient",
        "id event_type recipient email_campaign_id is_filtered occurred_at",
    ),
    "hubspot_email_campaigns": (
        "One row per HubSpot email campaign",
        "id name subject type",
    ),
    "hubspot_contact_merges": (
        "One row per HubSpot contact that was merged into another",
        "surviving_id merged_id merged_at",
    ),
    "hubspot_deal_merges": (
        "One row per HubSpot deal that was merged into another",
        "surviving_id merged_id merged_at",
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
        "close_date created_date system_modstamp owner_id campaign_id",
    ),
    "salesforce_opportunity_history": (
        "One row per version of a Salesforce opportunity",
        "id opportunity_id stage_name amount probability close_date created_date",
    ),
    "salesforce_leads": (
        "One row per Salesforce lead",
        "id email first_name last_name company title phone website country industry number_of_employees "
        "annual_revenue status lead_source is_converted converted_date converted_account_id converted_contact_id "
        "converted_opportunity_id master_record_id owner_id created_date system_modstamp",
    ),
    "salesforce_campaigns": (
        "One row per Salesforce campaign",
        "id name type status start_date end_date budgeted_cost actual_cost currency_iso_code is_active created_date "
        "system_modstamp",
    ),
    "salesforce_campaign_members": (
        "One row per lead or contact in a Salesforce campaign",
        "id campaign_id lead_id contact_id status has_responded first_responded_date created_date system_modstamp",
    ),
    "salesforce_tasks": (
        "One row per Salesforce task",
        "id account_id what_id who_id owner_id subject type status is_closed activity_date completed_date_time "
        "created_date system_modstamp",
    ),
    "hubspot_owners": (
        "One row per HubSpot owner: a user who can own records",
        "id email first_name last_name user_id archived created_at updated_at",
    ),
    "hubspot_contact_companies": (
        "One row per HubSpot contact and company associated with it",
        "contact_id company_id label",
    ),
    "hubspot_properties": (
        "One row per HubSpot object type and property that it has",
        "object_type name label type field_type calculated",
    ),
    "salesforce_opportunity_contact_roles": (
        "One row per contact's role in a Salesforce opportunity",
        "id opportunity_id contact_id role is_primary created_date system_modstamp",
    ),
    "salesforce_events": (
        "One row per Salesforce event: a meeting in a calendar",
        "id account_id what_id who_id owner_id subject type activity_date_time duration_in_minutes created_date "
        "system_modstamp",
    ),
    "salesforce_users": (
        "One row per Salesforce user",
        "id name email title department is_active user_role_id created_date system_modstamp",
    ),
    "billing_subscriptions": (
        "One row per subscription of the billing system",
        "id salesforce_account_id hubspot_company_id customer_domain plan seats arr currency started_at ended_at",
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
    """`hubspot`, `salesforce` or `billing`: the system whose records the table holds."""
    return table.split("_", 1)[0]
