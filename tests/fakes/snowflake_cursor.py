"""fakesnow's cursor with what it lacks: native MERGE, temporary names, keys that bind nobody, exact whole numbers."""

import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.statement_type import statement_type_id
from fakesnow.transforms.merge import operations
from sqlglot import exp

from tests.fakes.snowflake_failures import Failure
from tests.fakes.snowflake_history import written_table
from tests.fakes.snowflake_results import Answer, to_rowtype
from tests.fakes.snowflake_rewriting import (
    Comment,
    divide,
    fit_merge,
    name_of,
    rows_updated_twice,
    temporary_name,
    unqualify_temporary,
    without_comments,
    without_keys,
)

if TYPE_CHECKING:
    from tests.fakes.snowflake_session import Session


class Cursor(FakeSnowflakeCursor):
    """One statement of a session."""

    def __init__(self, session: "Session") -> None:
        connection = session.connection
        super().__init__(connection, connection._duck_conn)
        self._session = session
        self._type_id = 0
        self._comments: list[Comment] = []

    def run(self, text: str, bindings: Any) -> Answer:
        """Raises what DuckDB, sqlglot or fakesnow raise."""
        self.execute(text, binding_params=bindings, server=True)
        described = [(name, _type_name(kind)) for name, kind, *_ in self._described]
        table = self._arrow_table
        if put := (self._last_transformed and self._last_transformed.args.get("put_stage_data")):
            raise PutRequested(put)
        return Answer(table, to_rowtype(described), self._type_id, self._rowcount or 0, self._sfqid or "")

    def _transform_explode(self, expression: exp.Expression) -> list[exp.Expression]:
        session = self._session
        self._type_id = statement_type_id(expression)
        database, schema = self._conn.database, self._conn.schema
        if (written := written_table(expression, database, schema)) and session.temporary.get(written[2]) != written:
            session.written.add(written)
        session.account.history.travel(expression, database, schema)
        session.touches_temporary |= unqualify_temporary(expression, session.temporary, database, schema)
        if self._is_there(expression):
            said = "select '{} already exists, statement succeeded.' as status"
            return [sqlglot.parse_one(said.format(expression.find(exp.Table).name), read="duckdb")]
        if isinstance(expression, exp.Create) and (clone := expression.args.get("clone")) is not None:
            expression.set("clone", None)  # fakesnow would forget OR REPLACE and TEMPORARY
            expression.set("expression", exp.select("*").from_(clone.this.copy()))
        self._note_table(expression)
        expression = divide(expression)
        if isinstance(expression, exp.Merge):
            return [expression]
        return super()._transform_explode(expression)

    def _is_there(self, expression: exp.Expression) -> bool:
        """Of a CREATE TABLE IF NOT EXISTS; fakesnow would forget the load history of one that is."""
        table = expression.find(exp.Table)
        kind = str(expression.args.get("kind")).upper()
        if not (isinstance(expression, exp.Create) and expression.args.get("exists") and kind == "TABLE" and table):
            return False
        database, schema, name = name_of(table, self._conn.database, self._conn.schema)
        listing = (
            "select count(*) from duckdb_tables() where table_name = ?"
            " and (temporary or (database_name = ? and schema_name = ?))"
        )
        return self._duck_conn.execute(listing, [name, database, schema]).fetchall() != [(0,)]

    def _note_table(self, expression: exp.Expression) -> None:
        """What DuckDB does not keep of a CREATE: its key, its moment; its comments in another place."""
        table = expression.find(exp.Table)
        if not isinstance(expression, exp.Create) or not isinstance(table, exp.Table):
            return
        session, name = self._session, name_of(table, self._conn.database, self._conn.schema)
        if key := without_keys(expression):
            session.account.keys[name] = key
        if str(expression.args.get("kind")).upper() in ("TABLE", "VIEW"):
            self._comments = without_comments(expression, name)
            if temporary_name(expression, self._conn.database, self._conn.schema) is None:
                session.account.note_created(name)

    def _execute(self, transformed: exp.Expression, params: Any = None) -> None:
        if isinstance(transformed, exp.Merge):
            self._merge(transformed, params)
            return
        # fakesnow's own notes of comments and lengths: sessions that create one name at once would meet there.
        transformed.args.pop("table_comment", None)
        if isinstance(transformed, exp.Create) and transformed.find(exp.TemporaryProperty):
            transformed.args.pop("text_lengths", None)
        super()._execute(transformed, params)
        self._described = [(column, _type_name(kind)) for column, kind in self._describe()]
        self._session.note_comments(self._comments)

    def _describe(self) -> list[tuple[str, Any]]:
        return [(column[0], column[1]) for column in self._duck_conn.description or []]

    def _merge(self, transformed: exp.Merge, params: Any) -> None:
        """One statement of DuckDB: all or nothing, each row as the target was before it."""
        if (doubled := rows_updated_twice(transformed)) is not None:
            if self._duck_conn.execute(doubled, params).fetchall() != [(0,)]:
                raise Failure("100090", "42P18", "Duplicate row detected during DML action")
        sql = fit_merge(transformed).sql(dialect="duckdb") + " returning merge_action"
        actions = self._duck_conn.execute(sql, params).to_arrow_table().column(0)
        found = {one["values"]: one["counts"] for one in actions.value_counts().to_pylist()}
        counts = {
            f"number of rows {operation}": found.get(action, 0)
            for (operation, indices), action in zip(
                operations(transformed).items(), ("INSERT", "UPDATE", "DELETE"), strict=True
            )
            if indices
        }
        self._arrow_table = pa.table({name: pa.array([count], pa.int64()) for name, count in counts.items()})
        self._described = [(name, "BIGINT") for name in counts]
        self._rowcount, self._sfqid = sum(counts.values()), str(uuid.uuid4())
        self._last_transformed, self._last_sql, self._last_params = transformed, sql, params


class PutRequested(Exception):
    """The statement was a PUT: the client uploads. `data` tells where to."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__("PUT")
        self.data = data


def _type_name(kind: Any) -> str:
    return str(kind)
