"""The warehouse: `open_warehouse()` gives short connections to Snowflake or DuckDB, `merge.py` the one way to write.

Two places know which engine it is: `duckdb.py` and `snowflake.py`. Everything else writes SQL that both accept
(docs/adr/0004).
"""

from shared.warehouse.engine import Warehouse, open_warehouse
from shared.warehouse.merge import MergeCounts, merge_staged
from shared.warehouse.staging import StagedRows, stage_rows
from shared.warehouse.values import in_values, to_parameter

__all__ = [
    "MergeCounts",
    "StagedRows",
    "Warehouse",
    "in_values",
    "merge_staged",
    "open_warehouse",
    "stage_rows",
    "to_parameter",
]
