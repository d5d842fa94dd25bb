"""Marts as of past days: RAW landed by ingest's own flow, built by the real dbt project once for each day."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.dbt.dbt_session import REPOSITORY, DbtSession
from tests.source_states import MemoryStates
from tests.transform.builds import RecordingJob

SHARED_DATA = REPOSITORY.parent / "shared" / "data"
_MARTS = ("+dim_accounts", "+fct_account_score_factors", "+fct_opportunities", "+stg_billing__subscriptions")
# All that looks at the as-of day; what is before it is built once.
_AS_OF_MARTS = ("int_account_engagement", "int_account_factor_values", "int_account_factors", "int_accounts_scored")
_LAST_MARTS = ("dim_accounts", "fct_account_score_factors")


class Marts:
    """A warehouse of its own in a folder. dbt keeps its state in this process: one after the other."""

    def __init__(self, folder: Path, variables: Mapping[str, Any] | None = None) -> None:
        self.warehouse: Warehouse = open_warehouse(WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=folder))
        self._folder = folder
        self._variables = {"usd_exchange_rates": {"USD": 1}, **(variables or {})}
        self._session = DbtSession(REPOSITORY / "dbt_transform", folder / "dbt")
        self._is_built = False

    @property
    def database(self) -> Path:
        with self.warehouse.reserve_core() as environment:
            return Path(environment["GTM_DUCKDB_CORE_PATH"])

    def land(self, request: Mapping[str, Any], sources_dir: Path = REPOSITORY / "config" / "sources") -> None:
        """One sync into RAW."""
        settings = IngestSettings(
            GTM_DATA_DIR=self._folder, GTM_FILES_ROOTS=str(SHARED_DATA), GTM_SOURCES_DIR=sources_dir
        )
        sync_source(RecordingJob("load-1", request), self.warehouse, settings, MemoryStates())
        ensure_public_suffixes(self.warehouse)

    def build(self, day: date, **variables: Any) -> None:
        """The marts as of the end of `day`."""
        select = (*_AS_OF_MARTS, *_LAST_MARTS) if self._is_built else _MARTS
        given = {**self._variables, "as_of_date": day.isoformat(), **variables}
        self._session.build_models(self.database, ["--select", *select], given)
        self._is_built = True

    def read(self, sql: str) -> dict[str, list[Any]]:
        """Columns of a query, nulls as None."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            table = connection.execute(sql).arrow().read_all()
            columns: dict[str, list[Any]] = table.to_pydict()
        return columns
