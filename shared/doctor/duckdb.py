"""Is the DuckDB warehouse of this machine as the product needs it? Reads only, and waits for nobody."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import duckdb
import sqlalchemy as sa

from shared.doctor.findings import Finding, fail, ok, warn
from shared.errors import TransientError
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse

_PATIENCE_SECONDS: Final = 0.5
_LEAST_BYTES: Final = 500_000_000
_LITTLE_BYTES: Final = 5_000_000_000
_TABLES: Final = (
    "select count(*) from information_schema.tables where table_schema not in ('main', 'information_schema')"
)


def examine_duckdb(settings: WarehouseSettings) -> Iterator[Finding]:
    """The folder and its disk, then each of the two files."""
    folder = settings.core_path.parent
    yield _disk(folder)
    # A copy that gives up soon: somebody who holds a file is a finding, and nothing to wait for.
    hasty: Warehouse = open_warehouse(settings.model_copy(update={"lock_timeout_seconds": _PATIENCE_SECONDS}))
    yield _file("warehouse core", settings.core_path, hasty.core)
    yield _file("warehouse outbound", settings.outbound_path, hasty.outbound)


def _disk(folder: Path) -> Finding:
    """Of the nearest folder that is there: the others are made by the first writer."""
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:.1f} GB free at {there}"
    if not os.access(there, os.W_OK):
        return fail("disk", f"{there} can't be written by this user.", f"chown -R $(id -u) {there}")
    if free < _LEAST_BYTES:
        return fail("disk", f"{said}: a build spills to disk and needs some GB.", f"df -h {there}")
    return warn("disk", f"{said}: little.", f"df -h {there}") if free < _LITTLE_BYTES else ok("disk", said)


def _file(check: str, path: Path, read: Callable[[], AbstractContextManager[sa.Connection]]) -> Finding:
    if not path.exists():
        return warn(check, f"{path} is not there yet; the first job makes it.", "gtm warehouse init")
    try:
        with read() as connection:
            tables = int(connection.execute(sa.text(_TABLES)).scalar_one())
    except TransientError:
        return warn(
            check, f"{path} is held by a job that writes: nothing is wrong, and nothing was read.", "gtm status"
        )
    except (sa.exc.DBAPIError, duckdb.Error) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        mend = "Restore it from a backup (docs/operations.md, Backup), or move it away and sync again."
        return fail(check, f"{path} can't be opened: {reason}", mend)
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    if tables == 0:
        return warn(check, f"{path} has no tables yet ({size}).", "gtm warehouse init")
    return ok(check, f"{tables} tables and views, {size}")
