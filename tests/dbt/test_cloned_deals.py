"""The warning that lists cloned deals: dbt has no unit tests for tests, so its SQL runs here on rows of our own."""

from pathlib import Path

from tests.dbt.compiled_sql import new_warehouse
from tests.transform.builds import BuiltTwice

TEST = "compiled/fleet_gtm/tests/singular/assert_cloned_deals_are_told.sql"
DEALS = "analytics_staging.stg_hubspot__deals"
MERGES = "analytics_staging.int_records_merged"
COUNTED = "analytics_staging.int_opportunities_unioned"

# Deal, the opportunity that it names, amount, close, created, deleted, counted.
ROWS = [
    # a clone beside the synced deal
    ("1", "S1", 10, "2026-01-05", "2025-01-01", False, False),
    ("2", "S1", 10, "2026-01-05", "2025-02-01", False, True),
    # the synced deal was deleted: its clone says another amount, another day, the same, the same at noon
    ("3", "S2", 10, "2026-01-05", "2025-01-01", True, False),
    ("4", "S2", 20, "2026-01-05", "2025-02-01", False, False),
    ("5", "S3", 10, "2026-01-05", "2025-01-01", True, False),
    ("6", "S3", 10, "2026-02-05", "2025-02-01", False, False),
    ("7", "S4", 10, "2026-01-05", "2025-01-01", True, False),
    ("8", "S4", 10, "2026-01-05 12:00:00", "2025-02-01", False, False),
    # the clone was deleted; no clone; the older one was merged into the younger
    ("9", "S5", 20, "2026-01-05", "2025-01-01", False, False),
    ("10", "S5", 10, "2026-01-05", "2025-02-01", True, False),
    ("11", "S6", 20, "2026-01-05", "2025-02-01", False, False),
    ("12", "S7", 10, "2026-01-05", "2025-01-01", True, False),
    ("13", "S7", 20, "2026-01-05", "2025-02-01", False, False),
]


def test_clones_and_those_that_stand_in_for_a_deleted_deal_are_told(built: BuiltTwice, tmp_path: Path) -> None:
    sql = (built.house.settings.dbt_dir / "runs" / "first" / "target" / TEST).read_text()
    with new_warehouse(built, tmp_path, [DEALS, MERGES, COUNTED]) as connection:
        for deal, named, amount, close, created, is_deleted, is_counted in ROWS:
            connection.execute(
                f"insert into {DEALS} (source_system, deal_id, salesforce_opportunity_id, amount_usd, close_at,"
                " created_at, is_deleted) values ('hubspot', ?, ?, ?, cast(? as timestamp), cast(? as timestamp), ?)",
                [deal, named, amount, close, created, is_deleted],
            )
            if is_counted:
                connection.execute(
                    f"insert into {COUNTED} (opportunity_id, source_system, source_record_id)"
                    " values ('hubspot:' || ?, 'hubspot', ?)",
                    [deal, deal],
                )
        for named in sorted({row[1] for row in ROWS}):
            connection.execute(
                f"insert into {COUNTED} (opportunity_id, source_system, source_record_id, amount_usd, close_date)"
                " values ('salesforce:' || ?, 'salesforce', ?, 10, date '2026-01-05')",
                [named, named],
            )
        connection.execute(
            f"insert into {MERGES} (object_type, source_system, merged_record_id, surviving_record_id)"
            " values ('opportunity', 'hubspot', '12', '13')"
        )
        told = connection.execute(f"select opportunity_id, cloned_from from ({sql}) order by all").fetchall()
    assert told == [("hubspot:2", "salesforce:S1"), ("hubspot:4", "salesforce:S2"), ("hubspot:6", "salesforce:S3")]
