"""What a build's tests found, told in words; and whether the build may count as a success."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from services.transform.adapters.build_record import BuildRecord
from services.transform.adapters.dbt import DbtOutcome
from services.transform.adapters.marts import read_failing_rows
from services.transform.domain.build_errors import ROWS_SHOWN, explain_failed_node, explain_stopped_dbt
from services.transform.domain.run_results import NodeResult
from shared.errors import GtmError, InvalidRequest
from shared.logging import get_logger
from shared.warehouse import Warehouse

log = get_logger(__name__)


def tell_guards(warehouse: Warehouse, record: BuildRecord, outcome: DbtOutcome) -> None:
    """A guard's rows have a column `message` that says more than dbt's count of them."""
    told = {
        result.unique_id: replace(result, message=str(rows[0]["message"]))
        for result in outcome.results
        if result.failures and result.is_guard
        if (rows := _found_rows(warehouse, result, limit=1)) and rows[0].get("message")
    }
    outcome.results = [told.get(result.unique_id, result) for result in outcome.results]
    if told:
        record.complete(list(told.values()))


def require_success(warehouse: Warehouse, outcome: DbtOutcome, select: Sequence[str]) -> None:
    """Raises TerminalError or TransientError for a node that failed or a dbt that broke off, InvalidRequest for a
    selection without nodes."""
    failed = next((result for result in outcome.results if result.status == "failed"), None)
    if failed is not None:
        is_test = failed.kind == "test" and failed.failures and failed.compiled_sql
        rows = _found_rows(warehouse, failed, ROWS_SHOWN) if is_test else []
        raise explain_failed_node(outcome.results, rows)
    if outcome.exit_code != 0 and not outcome.is_complete:
        raise explain_stopped_dbt(outcome.exit_code, outcome.error, outcome.tail)
    if not outcome.results:
        named = " ".join(select)
        raise InvalidRequest(f"select: no node is called {named}. Names are those of dbt_transform/models.")


def _found_rows(warehouse: Warehouse, test: NodeResult, limit: int) -> list[dict[str, Any]]:
    """None of them where the warehouse refuses: that the test failed is known without them."""
    try:
        return read_failing_rows(warehouse, test, limit)
    except (GtmError, sa.exc.SQLAlchemyError) as error:
        log.warning("failing_rows_not_read", node=test.node, reason=str(getattr(error, "orig", error)))
        return []
