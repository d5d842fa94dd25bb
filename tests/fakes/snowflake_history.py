"""Time travel as far as the product uses it: what a table held at a moment that somebody had read from the clock.

Only then is it kept: where a change is committed and a moment was read since the table's last one. Any other moment
lies "beyond the allowed time travel period" here, where Snowflake keeps a day.
"""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import duckdb
from sqlglot import exp

from tests.fakes.snowflake_failures import Failure
from tests.fakes.snowflake_rewriting import Name, name_of

_KEPT: Final = 100
_WRITTEN: Final = (exp.Merge, exp.Insert, exp.Update, exp.Delete)


@dataclass(frozen=True)
class _Version:
    table: Name
    since: int
    until: int
    copy: str


class History:
    """Of the tables of one emulator; moments are milliseconds since 1970, and no two commits share one."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._guard = threading.RLock()
        self._copies = 0
        self._born = self._now = self._read_at = time.time_ns() // 1_000_000
        self._changed: dict[Name, int] = {}
        self._versions: list[_Version] = []

    def read_clock(self) -> int:
        """Now: what is committed by now counts, and nothing later."""
        with self._guard:
            self._now = self._read_at = max(self._now, time.time_ns() // 1_000_000)
            return self._now

    @contextmanager
    def committing(self, tables: Collection[Name]) -> Iterator[None]:
        """Around the COMMIT of a transaction that has changed them."""
        with self._guard:
            kept = [self._keep(table) for table in tables if self._read_at >= self._changed.get(table, self._born)]
            yield
            self._now = max(self._now + 1, time.time_ns() // 1_000_000)
            self._versions += [_Version(table, since, self._now, copy) for table, since, copy in kept]
            self._changed |= dict.fromkeys(tables, self._now)
            for old in self._versions[:-_KEPT]:
                self._connection.execute(f"drop table {old.copy}")
            self._versions = self._versions[-_KEPT:]

    def _keep(self, table: Name) -> tuple[Name, int, str]:
        """From another connection: it sees what was committed before."""
        self._copies += 1
        copy = f"_fs_global.main.kept_{self._copies}"
        named = ".".join(f'"{part}"' for part in table)
        with self._connection.cursor() as cursor:
            cursor.execute(f"create table {copy} as select * from {named}")
        return table, self._changed.get(table, self._born), copy

    def travel(self, expression: exp.Expression, database: str | None, schema: str | None) -> None:
        """Put what they held then in the place of tables that the statement asks for `at(timestamp => ...)`."""
        for table in expression.find_all(exp.Table):
            if (when := table.args.get("when")) is not None:
                table.set("when", None)
                name = name_of(table, database, schema)
                copy = self._at(name, _moment_of(when))
                if copy is not None:
                    catalog, db, this = (exp.to_identifier(part) for part in copy.split("."))
                    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
                    table.replace(exp.Table(this=this, db=db, catalog=catalog, alias=alias))

    def _at(self, table: Name, moment: int) -> str | None:
        """None: it has not changed since."""
        with self._guard:
            if moment > max(self._now, time.time_ns() // 1_000_000):
                raise Failure("000708", "22023", "Invalid time travel: the moment is in the future")
            if moment >= self._changed.get(table, self._born):
                return None
            for one in self._versions:
                if one.table == table and one.since <= moment < one.until:
                    return one.copy
        said = "The requested time is either beyond the allowed time travel period or before the object creation time."
        raise Failure("000707", "02000", f"Time travel data is not available for table {table[2]}. {said}")


def written_table(expression: exp.Expression, database: str | None, schema: str | None) -> Name | None:
    """The table whose rows the statement changes."""
    if not isinstance(expression, _WRITTEN):
        return None
    table = expression.this if isinstance(expression.this, exp.Table) else expression.this.find(exp.Table)
    return name_of(table, database, schema) if isinstance(table, exp.Table) else None


def _moment_of(when: exp.Expression) -> int:
    """As we write it: `at(timestamp => to_timestamp(<milliseconds>, 3))`."""
    told = when.args["expression"]
    is_ours = isinstance(told, exp.UnixToTime) and told.text("scale") == "3" and told.this.is_int
    if str(when.this).upper() != "AT" or not is_ours:
        raise NotImplementedError(f"time travel by {when.sql('snowflake')}")
    return int(told.this.name)
