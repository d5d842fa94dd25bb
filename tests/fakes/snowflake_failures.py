"""DuckDB's errors, and fakesnow's, as Snowflake answers them: HTTP 200, `success` false, code, SQLSTATE, message."""

import re
from dataclasses import dataclass

import duckdb
import snowflake.connector.errors
from sqlglot.errors import SqlglotError


@dataclass
class Failure(Exception):
    """An answer that is none."""

    code: str
    sqlstate: str
    message: str

    def __str__(self) -> str:
        return f"{self.code} ({self.sqlstate}): {self.message}"


_MISSING = re.compile(r"(?:Table|View|Schema|Catalog) with name \"?([\w.$%]+)\"? does not exist", re.I)
_COLUMN = re.compile(r'(?:Referenced column|column named?) "?([\w.$]+)"?', re.I)


def to_failure(error: Exception) -> Failure:
    """Never an HTTP error, which the connector would ask again for as long as network_timeout allows."""
    if isinstance(error, Failure):
        return error
    cause = error.__cause__ if isinstance(error.__cause__, duckdb.Error) else error
    text = str(cause).split("\n\nLINE")[0]
    if isinstance(cause, duckdb.Error):
        return _of_duckdb(cause, text)
    if isinstance(error, snowflake.connector.errors.Error):
        message = str(error.raw_msg or error.msg or error)
        return Failure(f"{error.errno or 603:06d}", error.sqlstate or "42000", message)
    if isinstance(error, SqlglotError):
        return Failure("001003", "42000", f"SQL compilation error:\nsyntax error: {text}")
    return Failure("000603", "XX000", f"The emulator can't do that: {type(error).__name__}: {error}")


def _of_duckdb(error: duckdb.Error, text: str) -> Failure:
    if isinstance(error, duckdb.InterruptException):
        return Failure("000604", "57014", "SQL execution canceled")
    missing, column = _MISSING.search(text), _COLUMN.search(text)
    if isinstance(error, duckdb.CatalogException):
        if missing:
            name = missing.group(1).upper()
            return Failure(
                "002003", "42S02", f"SQL compilation error:\nObject '{name}' does not exist or not authorized."
            )
        if "already exists" in text:
            return Failure("002002", "42710", f"SQL compilation error:\nObject already exists. {text}")
        return Failure("002140", "42601", f"SQL compilation error:\n{text}")
    if isinstance(error, duckdb.BinderException):
        if missing:
            name = missing.group(1).upper()
            return Failure(
                "002003", "42S02", f"SQL compilation error:\nObject '{name}' does not exist or not authorized."
            )
        name = column.group(1).upper() if column else ""
        return Failure("000904", "42000", f"SQL compilation error:\ninvalid identifier '{name}'\n{text}")
    if isinstance(error, duckdb.ParserException):
        return Failure("001003", "42000", f"SQL compilation error:\nsyntax error: {text}")
    if isinstance(error, duckdb.ConstraintException) and "NOT NULL" in text:
        return Failure("100072", "22000", f"NULL result in a non-nullable column\n{text}")
    if "matched" in text and "more than once" in text or "multiple" in text.lower() and "merge" in text.lower():
        return Failure("100090", "42P18", f"Duplicate row detected during DML action\n{text}")
    if "Division by zero" in text:
        return Failure("100051", "22012", "Division by zero")
    if isinstance(error, duckdb.ConversionException):
        return Failure("100038", "22018", text)
    if isinstance(error, duckdb.OutOfRangeException):
        return Failure("100046", "22003", f"Number out of representable range: {text}")
    return Failure("000603", "XX000", f"SQL execution internal error:\n{type(error).__name__}: {text}")
