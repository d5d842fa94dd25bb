"""The marts of a small hand-made RAW: nothing lost, nothing doubled, the same every time."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from services.ingest.domain.raw_schema import RAW_TABLE_NAMES
from tests.transform.builds import AUDIT_COLUMNS, BuiltTwice, House, RecordingJob
from tests.transform.raw_rows import ROWS, land_rows
from tests.unstaged import UNSTAGED

ATTRIBUTION_MODELS = ["data_driven", "first_touch", "last_touch", "linear", "time_decay", "u_shaped", "w_shaped"]


def test_second_build_changes_nothing_but_audit_columns(built: BuiltTwice) -> None:
    assert built.house.checksums() == built.checksums_of_first
    assert built.checksums_of_first["analytics.dim_accounts"][0] == 4
    ((run_id,),) = built.house.rows("select distinct dbt_run_id from analytics.dim_accounts")
    assert run_id != built.first["dbt_run_id"]


def test_rows_in_staging_and_quarantine_are_the_rows_in_raw(built: BuiltTwice) -> None:
    for table in sorted({*RAW_TABLE_NAMES} - UNSTAGED):
        system, plural = table.split("_", 1)
        ((staged,),) = built.house.rows(f"select count(*) from analytics_staging.stg_{system}__{plural}")
        ((held,),) = built.house.rows(
            f"select count(distinct source_record_id) from analytics.quarantine_rows where source_table = '{table}'"
        )
        assert staged + held == len(ROWS[table]), table


def test_quarantine_names_row_column_and_reason(built: BuiltTwice) -> None:
    found = built.house.rows(
        "select source_table, source_record_id, column_name, reason_code, raw_value from analytics.quarantine_rows"
        " order by all"
    )
    assert found == [
        ("billing_subscriptions", "B3", "ended_at", "ends_before_start", "2026-01-01"),
        ("billing_subscriptions", "B4", "arr", "missing_value", None),
        ("hubspot_companies", "4", "createdate", "not_a_date", "2026-13-45"),
        ("hubspot_companies", "5", "createdate", "not_a_date", "TBD"),
        ("hubspot_companies", "5", "fleet_size", "not_a_number", "about forty"),
        ("hubspot_companies", "keyless:0af1", "id", "missing_key", None),
        ("hubspot_contact_companies", "13|None", "company_id", "missing_value", None),
        ("hubspot_contacts", "14", "createdate", "not_a_date", "yesterday"),
        ("hubspot_deal_companies", "24|None", "company_id", "missing_value", None),
        ("hubspot_deal_stage_history", "22|2026-01-05", "stage_id", "missing_value", None),
        ("hubspot_deals", "23", "amount", "unknown_currency", "12.500,00 €"),
        ("hubspot_email_events", "e3", "occurred_at", "not_a_date", "13/13/2026"),
        ("hubspot_email_events", "e4", "occurred_at", "future_date", "2062-02-11"),
        ("hubspot_form_submissions", "f2", "submitted_at", "missing_value", None),
        ("hubspot_owners", "72", "created_at", "not_a_date", "a while ago"),
        ("hubspot_pipeline_stages", "limbo", "is_closed", "not_a_boolean", "perhaps"),
        ("hubspot_web_visits", "v7", "occurred_at", "missing_value", None),
        ("hubspot_web_visits", "v8", "occurred_at", "not_a_date", "0000-00-00"),
        ("salesforce_accounts", "SF4", "annual_revenue", "not_a_number", "TDK+SgtPSM3Vk67zX9aeRA=="),
        ("salesforce_campaign_members", "M3", "first_responded_date", "future_date", "2099-01-01"),
        ("salesforce_campaigns", "K2", "budgeted_cost", "unknown_currency", "10.000,00 €"),
        ("salesforce_events", "E2", "duration_in_minutes", "not_a_number", "long"),
        ("salesforce_leads", "00Q1G00000nDnM5", "id", "duplicate_key", "00Q1G00000nDnM5"),
        ("salesforce_leads", "L3", "number_of_employees", "not_a_number", "lots"),
        ("salesforce_opportunities", "O4", "amount", "negative_amount", "-5"),
        ("salesforce_opportunities", "O5", "amount", "not_a_number", "12k"),
        ("salesforce_opportunities", "O5", "close_date", "not_a_date", "soon"),
        ("salesforce_opportunity_contact_roles", "R2", "opportunity_id", "missing_value", None),
        ("salesforce_opportunity_history", "H2", "probability", "not_a_number", "likely"),
        ("salesforce_tasks", "T2", "activity_date", "not_a_date", "next week"),
        ("salesforce_users", "U2", "is_active", "not_a_boolean", "perhaps"),
    ]
    ((raw_row,),) = built.house.rows(
        "select raw_row from analytics.quarantine_rows where source_record_id = 'keyless:0af1'"
    )
    assert '"name":"No key"' in raw_row


def test_accounts_are_one_row_across_both_crms(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select account_id, salesforce_account_id, match_method, account_name, is_customer, is_active_prospect"
        " from analytics.dim_accounts order by account_id"
    ) == [
        ("hubspot:1", "SF1", "external_id", "Miller & Sons Freight", True, True),
        ("hubspot:2", "SF2", "domain", "Green Farms", True, False),
        ("hubspot:7", None, "single_source", "hubspot:7", False, True),
        ("salesforce:SF3", "SF3", "single_source", "Lone Builders", False, True),
    ]


def test_account_facts_come_from_hubspot_before_salesforce(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select domain, industry, region, country, employees, fleet_size, vehicle_type, annual_revenue_usd, contacts,"
        " visits_30d, visits_90d, high_intent_visits_90d, days_since_last_visit, open_opportunities,"
        " open_pipeline_usd, won_arr_usd, cast(created_at as date)::text from analytics.dim_accounts"
        " where account_id = 'hubspot:1'"
    ) == [
        ("miller-freight.com", "logistics", "north_america", "United States", 1200, 240, "trucks", Decimal("5000000"))
        + (2, 2, 4, 1, 9, 1, Decimal("20000"), Decimal("100"), "2023-01-01")
    ]


def test_deleted_records_stay_in_staging_and_leave_the_marts(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select company_id, is_deleted from analytics_staging.stg_hubspot__companies where company_id = '3'"
    ) == [("3", True)]
    assert built.house.rows("select 1 from analytics.dim_accounts where hubspot_company_id = '3'") == []
    assert built.house.rows("select 1 from analytics.fct_opportunities where source_record_id = 'O6'") == []


def test_opportunities_name_their_owners_also_one_who_has_left(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select opportunity_id, owner_id, owner_name from analytics.fct_opportunities"
        " where owner_id is not null order by 1"
    ) == [("hubspot:21", "71", "Dee Roy"), ("salesforce:O1", "U1", "Flo Ash")]


def test_a_contact_without_a_company_is_in_that_of_its_associations(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select account_id, match_method from analytics.dim_contacts where hubspot_contact_id = '13'"
    ) == [("hubspot:2", "account_reference")]


def test_linear_attribution_conserves_every_cent(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select touchpoint_id, channel, attribution_weight, attributed_arr_usd from analytics.fct_revenue_attribution"
        " where opportunity_id = 'salesforce:O1' and attribution_model = 'linear' order by touched_at, touchpoint_id"
    ) == [
        ("hubspot:web_visit:v1", "paid_search", Decimal("0.333333333333"), Decimal("33.33")),
        ("hubspot:web_visit:v2", "direct", Decimal("0.333333333333"), Decimal("33.33")),
        ("hubspot:web_visit:v3", "direct", Decimal("0.333333333334"), Decimal("33.34")),
    ]


def test_attributed_money_is_the_won_money_in_every_model(built: BuiltTwice) -> None:
    ((won,),) = built.house.rows("select sum(amount_usd) from analytics.fct_opportunities where is_won")
    assert won == Decimal("1000.00")
    assert built.house.rows(
        "select attribution_model, sum(attributed_arr_usd) from analytics.fct_revenue_attribution group by 1 order by 1"
    ) == [(model, won) for model in ATTRIBUTION_MODELS]


def test_every_billed_dollar_moves_in_the_month_it_began(built: BuiltTwice) -> None:
    assert built.house.rows(
        "select account_id, cast(month as varchar), opening_arr_usd, new_arr_usd, closing_arr_usd"
        " from analytics.fct_arr_movements order by all"
    ) == [
        ("hubspot:1", "2026-02-01", Decimal(0), Decimal(100), Decimal(100)),
        ("hubspot:1", "2026-03-01", Decimal(100), Decimal(0), Decimal(100)),
        ("hubspot:2", "2026-01-01", Decimal(0), Decimal(900), Decimal(900)),
        ("hubspot:2", "2026-02-01", Decimal(900), Decimal(0), Decimal(900)),
        ("hubspot:2", "2026-03-01", Decimal(900), Decimal(0), Decimal(900)),
    ]


def test_every_opportunity_is_in_its_stage(built: BuiltTwice) -> None:
    """With what its history tells, and marked where only the record tells."""
    assert built.house.rows(
        "select stage_visit_id, stage_name, days_in_stage, is_converted, is_inferred from analytics.fct_funnel_stages"
        " order by all"
    ) == [
        ("hubspot:21:1", "New", Decimal("51.16"), True, False),
        ("hubspot:21:2", "Closed won", None, None, False),
        ("hubspot:22:1", "New", None, None, True),
        ("hubspot:24:1", "New", None, None, True),
        ("salesforce:O1:1", "Proposal", Decimal("30.00"), True, False),
        ("salesforce:O1:2", "CLOSED WON", None, None, True),
        ("salesforce:O2:1", "Proposal", None, None, True),
        ("salesforce:O3:1", "Closed Lost", None, None, True),
    ]


def test_calendar_is_that_of_the_standard_library(built: BuiltTwice) -> None:
    days = built.house.rows("select date_day, iso_year, iso_week, iso_weekday, is_weekend from analytics.dim_dates")
    assert sorted(day for day, *_ in days) == [date(2024, 1, 1) + timedelta(n) for n in range(1096)]
    for day, *counted in days:
        year, week, weekday = day.isocalendar()
        assert counted == [year, week, weekday, weekday > 5], day


def test_every_table_carries_the_audit_columns(built: BuiltTwice) -> None:
    tables = built.house.rows(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema like 'analytics%' and table_type = 'BASE TABLE'"
    )
    assert len(tables) >= 50
    for schema, table in tables:
        columns = built.house.rows(
            f"select column_name from information_schema.columns where table_schema = '{schema}'"
            f" and table_name = '{table}' order by ordinal_position"
        )
        named = tuple(name for (name,) in columns)
        if table.startswith("snap_"):  # dbt adds its own columns after the query's
            assert set(AUDIT_COLUMNS) <= set(named), table
        else:
            assert named[-3:] == AUDIT_COLUMNS, table


def test_schemas_are_exactly_those_of_the_contract(built: BuiltTwice) -> None:
    schemas = built.house.rows("select distinct table_schema from information_schema.tables order by 1")
    assert schemas == [("analytics",), ("analytics_staging",), ("raw",)]


def test_tests_that_pass_leave_no_rows(built: BuiltTwice) -> None:
    assert built.house.tables("analytics_failures") == []


@pytest.mark.long
def test_empty_raw_builds_empty_marts(tmp_path: Path) -> None:
    house = House(tmp_path / "empty")
    land_rows(house.warehouse, {})
    result = house.build(RecordingJob("empty"))
    assert result["nodes"]["failed"] == result["nodes"]["skipped"] == 0
    assert result["quarantined"] == {}
    counts = {name: rows for name, (rows, _) in house.checksums().items() if name.startswith("analytics.")}
    assert counts.pop("analytics.dim_dates") == 1096  # the build's year and the two before it
    assert len(counts) >= 15 and set(counts.values()) == {0}
