"""All that the product leans on, looked at from this process, with its settings. No service need be up."""

from collections.abc import Iterator, Sequence
from typing import Final

from shared.doctor.access import examine_keys
from shared.doctor.duckdb import examine_duckdb
from shared.doctor.findings import Finding, skip
from shared.doctor.privileges import PARTS, Part
from shared.doctor.surroundings import (
    SurroundingSettings,
    examine_dbt,
    examine_models,
    examine_operations,
    examine_redis,
)
from shared.settings import AppSettings, OperationsSettings, QueueSettings, WarehouseSettings

_DOORS: Final = ("settings", "login")


def examine(parts: Sequence[Part] = PARTS) -> Iterator[Finding]:
    """One finding after the other, as they are made: some wait for the network. Nothing is changed by it.

    Args:
        parts: The services that this process's settings are for; on Snowflake each may have a role of its own.

    Raises:
        ValidationError: a setting has a value that can't be used.
    """
    warehouse, surroundings = WarehouseSettings(), SurroundingSettings()
    operations = OperationsSettings()
    found = examine_operations(operations)
    yield found
    if found.outcome == "fail":
        yield skip("api keys", "They are in the operations database.")
    else:
        yield examine_keys(AppSettings(), operations)
    yield examine_redis(QueueSettings())
    is_shut = False
    for finding in _examine_warehouse(warehouse, parts):
        is_shut = is_shut or (finding.check in _DOORS and finding.outcome == "fail")
        yield finding
    if "transform" in parts:
        yield skip("dbt", "It can't log in either.") if is_shut else examine_dbt(warehouse, surroundings)
    if "scoring" in parts:
        yield from examine_models(surroundings)


def _examine_warehouse(settings: WarehouseSettings, parts: Sequence[Part]) -> Iterator[Finding]:
    if settings.kind == "duckdb":
        return examine_duckdb(settings)
    from shared.doctor.snowflake import examine_snowflake  # late: loading the driver takes 0.6 s

    return examine_snowflake(settings, parts)
