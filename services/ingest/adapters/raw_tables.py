"""The RAW tables as SQLAlchemy sees them. `docs/contracts.md` is the promise; the comments here travel into the warehouse."""

from typing import Final

import sqlalchemy as sa

raw_metadata = sa.MetaData(schema="raw")

# table -> (what one row is, source columns). Every source column is text, exactly as the source wrote it.
_SOURCE_COLUMNS: Final[dict[str, tuple[str, str]]] = {
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


def _raw_table(name: str) -> sa.Table:
    grain, columns = _SOURCE_COLUMNS[name]
    return sa.Table(
        name,
        raw_metadata,
        sa.Column("source_system", sa.Text, primary_key=True, comment="hubspot or salesforce: the CRM of the record"),
        sa.Column(
            "source_record_id",
            sa.Text,
            primary_key=True,
            comment="Trimmed key of the record, several joined by |; keyless:<row_hash> for a record without one",
        ),
        *(sa.Column(column, sa.Text, comment="As the source wrote it") for column in columns.split()),
        sa.Column("extra", sa.Text, comment="JSON object of the source columns that no RAW column takes"),
        sa.Column("source_updated_at", sa.DateTime, comment="The source's own change time, UTC; null if unreadable"),
        sa.Column("is_deleted", sa.Boolean, nullable=False, comment="The source says deleted or archived"),
        sa.Column("row_hash", sa.Text, nullable=False, comment="md5 of source columns, extra and is_deleted"),
        sa.Column("load_id", sa.Text, nullable=False, comment="Job that last changed the row"),
        sa.Column("loaded_at", sa.DateTime, nullable=False, comment="When that job changed the row, UTC"),
        comment=f"{grain}, unchanged text from the source; docs/contracts.md",
    )


RAW_TABLES: Final[dict[str, sa.Table]] = {name: _raw_table(name) for name in _SOURCE_COLUMNS}

rejects = sa.Table(
    "rejects",
    raw_metadata,
    sa.Column("reject_id", sa.Text, primary_key=True, comment="md5 of table, file, line and content"),
    sa.Column("load_id", sa.Text, nullable=False, comment="Job that first met the row"),
    sa.Column("source_system", sa.Text, nullable=False, comment="hubspot or salesforce"),
    sa.Column("source_table", sa.Text, nullable=False, comment="RAW table that the row was meant for"),
    sa.Column("file", sa.Text, nullable=False, comment="File name"),
    sa.Column("line", sa.BigInteger, nullable=False, comment="Line of the file on which the row begins, from 1"),
    sa.Column("reason", sa.Text, nullable=False, comment="What a person must mend"),
    sa.Column("content", sa.Text, nullable=False, comment="The row; bytes that are not UTF-8 as \\xNN"),
    sa.Column("rejected_at", sa.DateTime, nullable=False, comment="When that job met the row, UTC"),
    comment="Rows of files that can't be split into columns; docs/contracts.md",
)


def source_columns(table: str) -> list[str]:
    """The columns that a source fills, in the contract's order, without `extra`."""
    return _SOURCE_COLUMNS[table][1].split()


def source_system(table: str) -> str:
    """`hubspot` or `salesforce`: the CRM whose records the table holds."""
    return table.split("_", 1)[0]


def create_raw_tables(connection: sa.Connection) -> None:
    """Create the schema's tables that are missing, all of them, so that dbt finds every source. A repeat is a no-op."""
    raw_metadata.create_all(connection, checkfirst=True)
