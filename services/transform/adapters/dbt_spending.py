"""What dbt has asked of the warehouse, to the account of the job that started it."""

import json
from pathlib import Path

from services.transform.adapters.dbt_statements import FILE, DbtStatements
from shared.logging import get_logger
from shared.warehouse.budget import add_spending

log = get_logger(__name__)


def count_spending(target: Path) -> None:
    """`target`: dbt's folder of this build. Where dbt was killed before it wrote its count, only the log says so."""
    try:
        sent = DbtStatements(**json.loads((target / FILE).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        log.warning("dbt_statements_not_counted", reason=type(error).__name__)
    else:
        add_spending(sent.statements, sent.seconds)
