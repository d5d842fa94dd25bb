"""`python -m shared.operations.preflight`: before a process starts that is one of several machines' (deploy/).

Refuses what holds on one machine alone: DuckDB and SQLite are files, and each pod would get an empty one of its own.
Then it waits for the operations database, and for the migrations to have run: no process meets a schema that lacks what
it needs.
"""

import signal
import sys
import threading
from collections.abc import Callable

from shared.errors import TerminalError
from shared.logging import configure_logging, get_logger
from shared.operations.migrate import SchemaLevel, read_level
from shared.operations.outages import OUTAGES
from shared.settings import OperationsSettings, WarehouseSettings, operations_settings, warehouse_settings

log = get_logger(__name__)

_LOOK_SECONDS = 2.0


def require_shared_stores(warehouse: WarehouseSettings, operations: OperationsSettings) -> None:
    """Raises TerminalError `one-machine-only` naming the setting whose store other machines can't see."""
    if warehouse.kind != "snowflake":
        raise _refusal(
            f"GTM_WAREHOUSE={warehouse.kind} is a file, and every pod would fill one of its own. Set "
            "GTM_WAREHOUSE=snowflake, or run on one machine (docker-compose.yml)."
        )
    if operations.database_url.startswith("sqlite"):
        raise _refusal(
            "GTM_OPERATIONS_URL names no server, and SQLite is a file: every pod would know jobs of its own. Set "
            "GTM_OPERATIONS_URL=postgresql+psycopg://user:password@host/database."
        )


def wait_for_schema(read: Callable[[], SchemaLevel], stop: threading.Event, *, look_seconds: float) -> bool:
    """Wait until the database is at this version's schema; False when told to stop before.

    A schema that a later version made is taken as it is: during an upgrade pods of the version before run beside it,
    and migrations only add.
    """
    said = ""
    while not stop.is_set():
        try:
            level = read()
        except OUTAGES as error:
            waits_for = f"the operations database: {getattr(error, 'orig', error)}"
        else:
            if not level.is_behind:
                log.info("preflight_passed", schema=level.current, newer=not level.is_known)
                return True
            waits_for = f"migrations: the schema is at {level.current or 'nothing'}, this version needs {level.head}"
        if waits_for != said:
            log.info("preflight_waits", waits_for=waits_for)
            said = waits_for
        stop.wait(look_seconds)
    return False


def main() -> int:
    """Exit code 0 when all is there, 1 when it is refused or ended by SIGTERM."""
    configure_logging()
    operations = operations_settings()
    try:
        require_shared_stores(warehouse_settings(), operations)
    except TerminalError as error:
        log.error("preflight_refused", code=error.code, detail=error.detail)
        return 1
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return 0 if wait_for_schema(lambda: read_level(operations.database_url), stop, look_seconds=_LOOK_SECONDS) else 1


def _refusal(detail: str) -> TerminalError:
    return TerminalError(detail, code="one-machine-only", title="This store belongs to one machine")


if __name__ == "__main__":
    sys.exit(main())
