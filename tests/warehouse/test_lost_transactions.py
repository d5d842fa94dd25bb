"""A worker that was only slow: its transaction was rolled back for another one that waited, and it must not hear that
all is well. On Snowflake after five idle minutes, here after `--idle-seconds`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from services.scoring.adapters.outbound_tables import lead_scores
from services.scoring.adapters.upserts import prepare_outbound, upsert_batch
from shared.errors import TransientError
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse
from shared.warehouse.snowflake import SnowflakeWarehouse
from tests.emulator import SnowflakeEmulator, slow
from tests.warehouse.test_concurrent_scoring import lead


@pytest.fixture
def while_another_writes(settings: WarehouseSettings) -> Callable[[Callable[[Warehouse], object]], None]:
    """What another process writes meanwhile; it waits for the lock, and gets it."""

    def write(change: Callable[[Warehouse], object]) -> None:
        other = SnowflakeWarehouse(settings)
        with ThreadPoolExecutor(1) as thread:  # another context: the engine counts statements by job
            thread.submit(change, other).result(30)
        other._engine.dispose()

    return write


def test_leads_whose_transaction_was_rolled_back_are_no_success(
    snowflake: Warehouse, while_another_writes: Callable[[Callable[[Warehouse], object]], None]
) -> None:
    prepare_outbound(snowflake)
    mine, theirs = lead("a", "job-1", 1), lead("b", "job-2", 1)

    def write(warehouse: Warehouse, row: dict[str, object], before_commit: Callable[[], None]) -> set[str]:
        return upsert_batch(warehouse, [row], [], force=False, before_commit=before_commit)

    def sleep() -> None:
        while_another_writes(lambda warehouse: write(warehouse, theirs, lambda: None))

    with pytest.raises(TransientError) as lost:
        write(snowflake, mine, sleep)
    assert lost.value.code == "warehouse-transaction-lost"
    assert stored(snowflake) == ["b"]
    assert write(snowflake, mine, lambda: None) == {"a"}, "the next attempt writes it"
    assert stored(snowflake) == ["a", "b"]


@pytest.mark.parametrize("ends_with", ["commit", pytest.param("ddl", marks=slow)])
def test_the_second_half_of_a_transaction_is_not_committed_alone(
    snowflake: Warehouse,
    while_another_writes: Callable[[Callable[[Warehouse], object]], None],
    emulator: SnowflakeEmulator,
    ends_with: str,
) -> None:
    """The change after the rollback began a transaction of its own, which COMMIT, or DDL, would commit."""
    with snowflake.core(write=True) as connection:
        connection.exec_driver_sql("create table raw.t (id integer)")

    def change(warehouse: Warehouse) -> None:
        with warehouse.core(write=True) as connection:
            connection.exec_driver_sql("insert into raw.t values (9)")

    with pytest.raises(TransientError) as lost, snowflake.core(write=True) as connection:
        connection.exec_driver_sql("insert into raw.t values (1)")
        while_another_writes(change)
        connection.exec_driver_sql("insert into raw.t values (2)")
        if ends_with == "ddl":
            connection.exec_driver_sql("create temporary table later (id integer)")
    assert lost.value.code == "warehouse-transaction-lost" and "another one was open" in lost.value.detail
    with snowflake.core() as connection:
        assert connection.exec_driver_sql("select id from raw.t").scalars().all() == [9]


def test_what_a_transaction_is_asked_costs_three_statements_and_wakes_nobody(
    snowflake: Warehouse, emulator: SnowflakeEmulator
) -> None:
    with snowflake.core(write=True) as connection:
        connection.exec_driver_sql("create table raw.t (id integer)")
    emulator.reset()
    with snowflake.core(write=True) as connection:
        for number in range(3):
            connection.exec_driver_sql(f"insert into raw.t values ({number})")
    kinds = emulator.statements()["by_kind"]
    asked = emulator.log("current_transaction")
    assert (kinds["begin"], kinds["insert"], kinds["commit"], len(asked)) == (1, 3, 1, 2)
    assert emulator.statements()["warehouse"] == 3


def stored(warehouse: Warehouse) -> list[str]:
    with warehouse.outbound() as connection:
        return list(
            connection.execute(sa.select(lead_scores.c.account_id).order_by(lead_scores.c.account_id)).scalars()
        )
