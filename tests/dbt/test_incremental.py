"""Incremental tables equal full refreshes, change by change; load_sequences draws whole sequences at random."""

from pathlib import Path

import duckdb
import pytest

from tests.dbt.compiled_sql import CompiledModel, new_warehouse
from tests.transform.builds import BuiltTwice

RESOLVED = "analytics_staging.int_touches_resolved"
COUNTED = "analytics_staging.int_touches_counted"
OPPORTUNITIES = "analytics.fct_opportunities"
WEIGHTS = "analytics_staging.int_channel_weights"
LEADS = "analytics_staging.int_leads_created"

TOUCH_CHANGES = {
    "new load": f"insert into {RESOLVED} by name select * replace ('new' as touchpoint_id, 'new' as source_record_id,"
    f" 'load-2' as load_id) from {RESOLVED} where touchpoint_id = 't1'",
    "late row of an old load": f"insert into {RESOLVED} by name select * replace ('late' as touchpoint_id,"
    f" 'late' as source_record_id) from {RESOLVED} where touchpoint_id = 't1'",
    "correction": f"update {RESOLVED} set load_id = 'load-2', channel = 'event' where touchpoint_id = 't2'",
    "deleted": f"delete from {RESOLVED} where touchpoint_id = 't3'",
    "all of a contact deleted": f"delete from {RESOLVED} where contact_id = 'c1'",
    "contact moves": f"update {RESOLVED} set account_id = 'B', person_id = 'q' where contact_id = 'c0'",
    "browser is another's": f"update {RESOLVED} set contact_id = 'c7', account_id = 'B' where touchpoint_id = 't4'",
    "two browsers swap": f"update {RESOLVED} set contact_id = case contact_id when 'c0' then 'c1' else 'c0' end",
    "another date order": f"update {RESOLVED} set touched_at = touched_at + interval 1 day where touchpoint_id = 't5'",
    "page read anew": f"update {RESOLVED} set page_url = '/pricing' where touchpoint_id = 't5'",
    "campaign renamed": f"update {RESOLVED} set campaign = 'renamed'",
    "nothing left": f"delete from {RESOLVED}",
}

ATTRIBUTION_CHANGES = {
    "reopened": f"update {OPPORTUNITIES} set is_won = false where opportunity_id = 'o1'",
    "deleted": f"delete from {OPPORTUNITIES} where opportunity_id = 'o2'",
    "new": f"insert into {OPPORTUNITIES} by name select * replace ('o9' as opportunity_id)"
    f" from {OPPORTUNITIES} where opportunity_id = 'o1'",
    "amount": f"update {OPPORTUNITIES} set amount_usd = 0.05",
    "account": f"update {OPPORTUNITIES} set account_id = 'B' where opportunity_id = 'o1'",
    "touch lost": f"delete from {COUNTED} where opportunity_id = 'o1' and touch_number = 3;"
    f" update {COUNTED} set touches = 2 where opportunity_id = 'o1'",
    "all touches lost": f"delete from {COUNTED} where opportunity_id = 'o1'",
    "channel corrected": f"update {COUNTED} set channel = 'partner' where touchpoint_id = 't1'",
    "moment corrected": f"update {COUNTED} set touched_at = touched_at - interval 1 hour where touch_number = 1",
    "lead found": f"insert into {LEADS} (account_id, lead_created_at) values ('A', '2026-01-02 12:00:00')",
    "weights learned": f"update {WEIGHTS} set removal_effect = 0.25 where channel = 'email'",
}


@pytest.fixture(scope="module")
def touchpoints(built: BuiltTwice) -> CompiledModel:
    return CompiledModel(built, "analytics_staging", "intermediate/revenue/int_touchpoints.sql")


@pytest.fixture(scope="module")
def attribution(built: BuiltTwice) -> CompiledModel:
    return CompiledModel(built, "analytics", "marts/revenue/fct_revenue_attribution.sql")


def _with_touches(built: BuiltTwice, folder: Path) -> duckdb.DuckDBPyConnection:
    connection = new_warehouse(built, folder, [RESOLVED])
    connection.execute(
        f"insert into {RESOLVED} by name select 't' || range as touchpoint_id, 't' || range as source_record_id,"
        " 'web_visit' as touch_type, 'hubspot' as source_system, 'A' as account_id, 'p' as person_id,"
        " 'c' || range % 2 as contact_id, 'email' as channel, timestamp '2026-01-01' as touched_at,"
        " 'load-1' as load_id, timestamp '2026-03-01' as loaded_at, false as is_high_intent from range(8)"
    )
    return connection


def _with_opportunities(built: BuiltTwice, folder: Path) -> duckdb.DuckDBPyConnection:
    connection = new_warehouse(built, folder, [OPPORTUNITIES, LEADS, COUNTED, WEIGHTS])
    connection.execute(
        f"insert into {OPPORTUNITIES} by name select 'o' || range as opportunity_id, 'A' as account_id, true as is_won,"
        " true as is_closed, 100.01 as amount_usd, timestamp '2026-01-31 23:59:59' as closed_at,"
        " timestamp '2026-01-20' as created_at from range(4)"
    )
    connection.execute(
        f"insert into {COUNTED} by name select 'o' || o.range as opportunity_id, 't' || t.range as touchpoint_id,"
        " true as is_won, date '2026-01-01' as close_month, ['direct', 'email', 'event'][t.range] as channel,"
        " timestamp '2026-01-01' + to_days(cast(t.range as int)) as touched_at, t.range as touch_number, 3 as touches"
        " from range(3) as o, range(1, 4) as t"
    )
    connection.execute(
        f"insert into {WEIGHTS} (close_month, channel, removal_effect)"
        " values ('2026-01-01', 'email', 0.5), ('2026-01-01', 'direct', 0.3), ('2026-01-01', 'partner', 0.1)"
    )
    return connection


@pytest.mark.parametrize("change", TOUCH_CHANGES)
def test_touchpoints_equal_a_full_refresh(
    built: BuiltTwice, touchpoints: CompiledModel, tmp_path: Path, change: str
) -> None:
    with _with_touches(built, tmp_path) as connection:
        touchpoints.build_full(connection)
        assert touchpoints.build_incrementally(connection) == 0
        connection.execute(TOUCH_CHANGES[change])
        assert touchpoints.differences(connection) != []
        assert touchpoints.build_incrementally(connection) > 0
        assert touchpoints.differences(connection) == []
        assert touchpoints.build_incrementally(connection) == 0


def test_touchpoints_write_only_what_differs(built: BuiltTwice, touchpoints: CompiledModel, tmp_path: Path) -> None:
    with _with_touches(built, tmp_path) as connection:
        touchpoints.build_full(connection)
        connection.execute(TOUCH_CHANGES["correction"])
        connection.execute(TOUCH_CHANGES["deleted"])
        assert touchpoints.build_incrementally(connection) == 2


@pytest.mark.parametrize("change", ATTRIBUTION_CHANGES)
def test_attribution_equals_a_full_refresh(
    built: BuiltTwice, attribution: CompiledModel, tmp_path: Path, change: str
) -> None:
    with _with_opportunities(built, tmp_path) as connection:
        attribution.build_full(connection)
        assert attribution.build_incrementally(connection) == 0
        connection.execute(ATTRIBUTION_CHANGES[change])
        assert attribution.differences(connection) != []
        assert attribution.build_incrementally(connection) > 0
        assert attribution.differences(connection) == []
        assert attribution.build_incrementally(connection) == 0


def test_a_change_of_weights_touches_the_rows_of_that_model_alone(
    built: BuiltTwice, attribution: CompiledModel, tmp_path: Path
) -> None:
    with _with_opportunities(built, tmp_path) as connection:
        attribution.build_full(connection)
        connection.execute(f"update {attribution.name} set dbt_run_id = 'before'")
        connection.execute(ATTRIBUTION_CHANGES["weights learned"])
        attribution.build_incrementally(connection)
        written = connection.execute(
            f"select distinct attribution_model from {attribution.name} where dbt_run_id <> 'before'"
        ).fetchall()
        assert written == [("data_driven",)]


def test_a_second_build_adds_no_version_of_an_opportunity(built: BuiltTwice) -> None:
    versions = built.house.rows("select count(*), count(valid_to) from analytics.snap_opportunities where is_live")
    assert versions == [(len(built.house.rows("select 1 from analytics.fct_opportunities")), 0)]
    assert versions != [(0, 0)]
