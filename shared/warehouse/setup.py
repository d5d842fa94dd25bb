"""Making a warehouse ready before the first job: each service makes its own schemas and tables, and says how.

`gtm warehouse init` runs `python -m services.<service>.adapters.table_setup` of all three, which print JSON lines:
{"statement": ...} for each that ran (or would), at the end {"done": true}, or {"problem": ...} and exit code 1.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from pydantic import ValidationError

from shared.errors import GtmError, TerminalError
from shared.settings import WarehouseSettings, explain_wrong_settings
from shared.warehouse.engine import Warehouse, open_warehouse

_DEFINES: Final = ("create", "alter", "comment", "drop")
_NOTHING: Final = "select 1"

Prepare = Callable[[sa.Connection], None]


def main_of(
    part: Literal["core", "outbound"], schemas: Sequence[str], prepare: Prepare, arguments: list[str] | None = None
) -> int:
    """The command line of a service's `table_setup`.

    Args:
        part: Which connection of the warehouse `prepare` gets.
        schemas: Those that the service writes; what is missing is created before `prepare`.
        prepare: Creates what is missing; on a warehouse that is ready it changes nothing.
    """
    parser = argparse.ArgumentParser(description="Makes the service's schemas and tables in the warehouse.")
    parser.add_argument("--dry-run", action="store_true", help="print the statements and run none")
    is_dry_run = parser.parse_args(arguments).dry_run
    try:
        for statement in set_up(WarehouseSettings(), part, schemas, prepare, is_dry_run=is_dry_run):
            _print({"statement": statement})
    except ValidationError as error:
        return _fail(_wrong_settings(error))
    except GtmError as error:
        return _fail(error)
    _print({"done": True})
    return 0


def set_up(
    settings: WarehouseSettings,
    part: Literal["core", "outbound"],
    schemas: Sequence[str],
    prepare: Prepare,
    *,
    is_dry_run: bool,
) -> list[str]:
    """The statements that were needed. A repeat needs none. Arguments: see `main_of`.

    Raises:
        GtmError: what the warehouse refuses, with its mend.
    """
    with ExitStack() as held:
        if is_dry_run and settings.kind == "duckdb" and not _path(settings, part).exists():
            # Looking would make the files. An empty warehouse elsewhere needs the same statements.
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="gtm-dry-run-")))
            settings = settings.model_copy(update={"data_dir": folder})
        warehouse = open_warehouse(settings)
        connection = held.enter_context(_opened(warehouse, part, is_dry_run=is_dry_run))
        with _recorded(connection, is_dry_run=is_dry_run) as statements:
            _create_schemas(connection, settings, schemas)
            prepare(connection)
    return statements


def _opened(
    warehouse: Warehouse, part: Literal["core", "outbound"], *, is_dry_run: bool
) -> AbstractContextManager[sa.Connection]:
    # On Snowflake a writer's connection would create schemas unasked, and a reader's takes every statement.
    write = not is_dry_run and warehouse.dialect.name == "duckdb"
    return warehouse.core(write=write) if part == "core" else warehouse.outbound(write=write)


def _create_schemas(connection: sa.Connection, settings: WarehouseSettings, schemas: Sequence[str]) -> None:
    """`if not exists` is not enough: Snowflake wants the right to create also where there is nothing to create."""
    if connection.dialect.name == "snowflake":
        listing = connection.exec_driver_sql(f"show terse schemas in database {settings.snowflake_database}")
        present = {str(row["name"]).lower() for row in listing.mappings()}
    else:
        found = connection.execute(sa.text("select schema_name from information_schema.schemata"))
        present = {str(name).lower() for name in found.scalars()}
    for schema in schemas:
        if schema not in present:
            connection.exec_driver_sql(f"create schema if not exists {schema}")


@contextmanager
def _recorded(connection: sa.Connection, *, is_dry_run: bool) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
        if not statement.lstrip().lower().startswith(_DEFINES):
            return statement, parameters
        statements.append(statement.strip())
        return (_NOTHING, ()) if is_dry_run else (statement, parameters)

    sa.event.listen(connection, "before_cursor_execute", note, retval=True)
    try:
        yield statements
    finally:
        sa.event.remove(connection, "before_cursor_execute", note)


def _path(settings: WarehouseSettings, part: str) -> Path:
    return settings.core_path if part == "core" else settings.outbound_path


def _wrong_settings(error: ValidationError) -> GtmError:
    return TerminalError("; ".join(explain_wrong_settings(error)), code="bad-setting", title="A setting is wrong")


def _fail(error: GtmError) -> int:
    _print({"problem": error.to_problem()})
    return 1


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
