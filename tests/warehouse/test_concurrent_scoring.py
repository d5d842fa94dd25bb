"""Twenty workers that write leads at once: 0 lost, 0 doubled, though no key is enforced."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from services.scoring.adapters.outbound_tables import lead_score_history, lead_scores
from services.scoring.adapters.upserts import prepare_outbound, upsert_batch
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse
from shared.warehouse.snowflake import SnowflakeWarehouse
from tests.emulator import SnowflakeEmulator, slow

WORKERS = int(os.environ.get("WAREHOUSE_WRITERS", "20"))
BATCHES = int(os.environ.get("WAREHOUSE_BATCHES", "1"))
SHARED = [f"shared-{number}" for number in range(5)]
VALUES: dict[type, Any] = {sa.String: "text", sa.BigInteger: 1, sa.Boolean: True, sa.Float: 0.5}


def lead(account_id: str, job_id: str, moment: int) -> dict[str, Any]:
    """A row; `moment` orders the marts that it saw."""
    row = {column.name: VALUES.get(type(column.type), datetime(2026, 1, 1)) for column in lead_scores.columns}
    texts = {"reasons": "[]", "factors": "[]", "claims": "[]", "inactive_reason": None, "pitch": "p" * 500}
    seen = {"mart_updated_at": datetime(2026, 1, 1, 0, moment), "input_key": f"{account_id}-{moment}"}
    return {**row, **texts, **seen, "account_id": account_id, "job_id": job_id, "lead_score": moment}


@slow
def test_no_lead_is_lost_and_none_is_doubled(
    emulator: SnowflakeEmulator, settings: WarehouseSettings, snowflake: Warehouse
) -> None:
    """Each writes leads of its own, and all of them the same five: of these the one of the newest mart stays."""
    prepare_outbound(snowflake)

    def work(worker: int) -> None:
        warehouse = SnowflakeWarehouse(settings)  # sessions of its own, as another process would have
        job = f"job-{worker}"
        for number in range(BATCHES):
            own = [f"own-{worker}-{number}-{one}" for one in range(5)]
            leads = [lead(account, job, worker + 1) for account in (*own, *SHARED)]
            upsert_batch(warehouse, leads, [], force=False, before_commit=lambda: None)
        warehouse._engine.dispose()

    with ThreadPoolExecutor(WORKERS) as workers:
        for done in [workers.submit(work, worker) for worker in range(WORKERS)]:
            done.result()
    with snowflake.outbound() as connection:
        leads = connection.execute(sa.select(lead_scores.c.account_id, lead_scores.c.lead_score)).all()
        history = connection.execute(sa.select(lead_score_history.c.account_id, lead_score_history.c.job_id)).all()
    accounts = [row.account_id for row in leads]
    assert len(accounts) == len(set(accounts)) == WORKERS * BATCHES * 5 + len(SHARED)
    assert {row.lead_score for row in leads if row.account_id in SHARED} == {WORKERS}
    assert len(history) == len({tuple(row) for row in history})
    own = [row for row in history if row.account_id not in SHARED]
    assert len(own) == WORKERS * BATCHES * 5


@pytest.mark.parametrize("pitch", ['it\'s 100% :ok \\ "q" ü\n', "p" * 20_000], ids=["awkward", "long"])
def test_a_batch_of_any_size_comes_as_it_was_sent(snowflake: Warehouse, pitch: str) -> None:
    """Statements of more than 1 MB are refused: large batches go as files."""
    prepare_outbound(snowflake)
    leads = [{**lead(f"a{number}", "job-1", 1), "pitch": pitch} for number in range(60)]
    written = upsert_batch(snowflake, leads, [], force=False, before_commit=lambda: None)
    assert written == {one["account_id"] for one in leads}
    assert upsert_batch(snowflake, leads, [], force=False, before_commit=lambda: None) == set()
    with snowflake.outbound() as connection:
        stored = connection.execute(sa.select(lead_scores).order_by(lead_scores.c.account_id)).mappings().all()
    assert [dict(row) for row in stored] == sorted(leads, key=lambda row: row["account_id"])


def test_outbound_tables_tell_their_keys_and_what_they_hold(snowflake: Warehouse) -> None:
    prepare_outbound(snowflake)
    with snowflake.outbound() as connection:
        keys = connection.exec_driver_sql("show primary keys in table reverse_etl_outbound.lead_score_history")
        assert [row["column_name"] for row in keys.mappings()] == ["ACCOUNT_ID", "JOB_ID"]
        untold = (
            "select table_name from information_schema.tables where table_schema = 'REVERSE_ETL_OUTBOUND'"
            " and comment is null union all select column_name from information_schema.columns"
            " where table_schema = 'REVERSE_ETL_OUTBOUND' and comment is null"
        )
        assert connection.exec_driver_sql(untold).all() == []
