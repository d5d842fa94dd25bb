"""Bulk load into Snowflake: Parquet -> the stage of a staging table (PUT) -> COPY INTO -> read from there by MERGE.

A staging table is transient (no fail-safe to pay for) and named after the load that it is for and what its files hold,
so that an attempt that repeats another one finds what that one had staged: its file is not uploaded again, and COPY
leaves it out, since the table's load history knows it. What a load staged goes when it has landed, or can't; what
killed workers left goes a day later, with whoever lands next.
"""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from shared.errors import GtmError, TransientError
from shared.logging import get_logger
from shared.warehouse.snowflake_transaction import COUNTED

log = get_logger(__name__)

PREFIX: Final = "gtm_staged_"
_STAGED: Final = "gtm_staged_tables"  # in a connection's `info`
_LEFT_HOURS: Final = 24
_OWNER_LETTERS: Final = 12
_DIGEST_LETTERS: Final = 16
_COPY: Final = (
    "file_format = (type = parquet use_logical_type = true) match_by_column_name = case_insensitive"
    " on_error = abort_statement"
)


def stage_files(connection: sa.Connection, name: str, files: Sequence[Path], owner: str) -> None:
    """Give the rows of the files, which have one schema, the temporary name `name`. A repeat loads no row twice.

    Commits, as DDL does. `owner`: whose load it is; `end_staging` finds the table by it.

    Raises:
        TransientError: `warehouse-staging-gone`, when the table does not hold just the rows of the files.
    """
    staged = staging_table(name, files, owner)
    connection.info.setdefault(_STAGED, set()).add((owner, staged))
    connection.exec_driver_sql(
        f"create transient table if not exists {staged} ({_columns(pq.read_schema(files[0]))})"
        " data_retention_time_in_days = 0"
    )
    _copy(connection, staged, files, overwrite=False, is_counted=True)
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    # No copy is made. A view would need another privilege than a table.
    connection.exec_driver_sql(f"create or replace temporary table {name} clone {staged}")
    # Of the clone, which nobody else fills: an attempt that was given up may still commit its own COPY of the file.
    found = connection.exec_driver_sql(f"select count(*) from {name}").scalar_one()
    if found != rows:
        connection.exec_driver_sql(f"drop table if exists {staged}")
        raise staging_gone(f"{staged} held {found} rows of {rows}")


def stage_table(connection: sa.Connection, name: str, rows: pa.Table) -> None:
    """Add the rows to the temporary table `name`, which has their columns."""
    with TemporaryDirectory(prefix="gtm-stage-") as folder:
        # A name of its own: a second batch of the same rows is not one that was loaded before.
        file = Path(folder) / f"{uuid.uuid4().hex}.parquet"
        pq.write_table(rows, file)
        _copy(connection, name, [file], overwrite=True)


def staging_table(name: str, files: Sequence[Path], owner: str) -> str:
    """The same for the same load, name and content."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"{_prefix(owner)}{name}_{digest.hexdigest()[:_DIGEST_LETTERS]}"


def end_staging(connection: sa.Connection, drop: Literal["own", "all"] | None) -> None:
    """Nothing where this session staged no files. Else it ends, and with it its temporary tables, large as they may be;
    who uses the pool next must not meet them, nor clear away what an attempt that follows is filling.

    Args:
        drop: What goes at once: `own`, or `all`: also what earlier attempts of the same load staged, and what has been
            left for a day. None: an attempt that follows takes it up, or it goes a day later.
    """
    staged: set[tuple[str, str]] = set() if connection.invalidated else connection.info.pop(_STAGED, set())
    if not staged:
        return
    if drop is not None:
        _drop(connection, staged, others=drop == "all")
    connection.invalidate()


def is_staging_gone(error: BaseException) -> bool:
    """An object is missing, and it is a staging table. A right on one that is lacking is another matter."""
    if not isinstance(error, GtmError) or error.code != "warehouse-object-missing":
        return False
    return PREFIX in error.detail.lower()


def _drop(connection: sa.Connection, staged: set[tuple[str, str]], *, others: bool) -> None:
    """Outside of a transaction. What can't be dropped now, another role's perhaps, is told and left."""
    names = {name for _, name in staged}
    try:
        names |= _left_behind(connection, {owner for owner, _ in staged}) if others else set()
    except sa.exc.DBAPIError as error:
        log.warning("staging_not_listed", exc_info=error)
    for name in sorted(names):
        if connection.invalidated:
            log.warning("staging_left", table=name, reason="the session has ended")
            return
        try:
            connection.exec_driver_sql(f"drop table if exists {name}")
        except sa.exc.DBAPIError as error:
            log.warning("staging_left", table=name, exc_info=error)
    if not connection.invalidated:
        connection.commit()


def staging_gone(what: str) -> TransientError:
    """Another attempt of the load, which had been given up, took it away: the next one stages anew."""
    return TransientError(
        f"The staging table of this load is not as it was filled: {what}. Another attempt of the same load ended at "
        "the same time and dropped it. Nothing landed; the next attempt stages the rows anew.",
        code="warehouse-staging-gone",
        title="The staging table is gone",
    )


def column_type(arrow_type: pa.DataType) -> str:
    """Snowflake's."""
    if pa.types.is_boolean(arrow_type):
        return "boolean"
    if pa.types.is_timestamp(arrow_type):
        return "timestamp_ntz"
    if pa.types.is_integer(arrow_type):
        return "integer"
    if pa.types.is_floating(arrow_type):
        return "float"
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision},{arrow_type.scale})"
    return "varchar"


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {column_type(field.type)}" for field in schema)


def _copy(
    connection: sa.Connection, table: str, files: Sequence[Path], *, overwrite: bool, is_counted: bool = False
) -> None:
    """As text, since the dialect's CopyInto can't match by name. `is_counted`: who calls looks whether all came."""
    for file in files:
        path = str(file.resolve()).replace("'", "\\'")
        connection.exec_driver_sql(
            f"put 'file://{path}' @%{table} auto_compress = false overwrite = {'true' if overwrite else 'false'}"
        )
    copy = f"copy into {table} from @%{table} {_COPY}"
    connection.exec_driver_sql(copy, execution_options={COUNTED: is_counted})


def _left_behind(connection: sa.Connection, owners: set[str]) -> set[str]:
    of_owners = [f"startswith(table_name, '{_prefix(owner).upper()}')" for owner in sorted(owners)]
    is_old = f"created < dateadd(hour, -{_LEFT_HOURS}, current_timestamp())"
    found = connection.exec_driver_sql(
        "select table_name from information_schema.tables"
        f" where table_schema = current_schema() and startswith(table_name, '{PREFIX.upper()}')"
        f" and ({' or '.join([is_old, *of_owners])})"
    )
    return {str(name).lower() for name in found.scalars()}


def _prefix(owner: str) -> str:
    return f"{PREFIX}{hashlib.sha256(owner.encode()).hexdigest()[:_OWNER_LETTERS]}_"
