"""Tables with their comments, each made by as few statements as the engine allows."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable, SetColumnComment, SetTableComment


def create_table(connection: sa.Connection, table: sa.Table) -> None:
    """Create the table where it is missing, with its comments and its primary key. The schema must exist.

    On Snowflake in one statement: a comment by itself is a round trip, and a table of RAW has thirty of them.
    """
    if connection.dialect.name == "snowflake":
        connection.execute(_CreateCommentedTable(table))
        return
    connection.execute(CreateTable(table, if_not_exists=True))
    if table.comment:
        connection.execute(SetTableComment(table))
    for column in table.columns:
        if column.comment:
            connection.execute(SetColumnComment(column))


def refuse_if_hidden(connection: sa.Connection, name: str) -> None:
    """To be called before a table that is not listed is taken for one that is not there yet: Snowflake lists none that
    the role has no privilege on. Asking for it is refused in either case, and costs no warehouse. Nothing on DuckDB.

    Raises:
        TerminalError: `warehouse-object-missing`, which names both; when it leaves the warehouse's door.
    """
    if connection.dialect.name == "snowflake":
        connection.exec_driver_sql(f"select * from {name} limit 0")  # nosec B608 - a name of ours


def or_hidden(dialect: sa.Dialect) -> str:
    """What a message that tables are not there yet must add, for the same reason. Nothing on DuckDB."""
    if dialect.name != "snowflake":
        return ""
    return " If they are there, SNOWFLAKE_ROLE has no privilege on them, which looks the same: `gtm doctor` prints it."


class _CommentedColumn(CreateColumn):
    inherit_cache = False


class _CreateCommentedTable(CreateTable):
    inherit_cache = False

    def __init__(self, table: sa.Table) -> None:
        super().__init__(table, if_not_exists=True)
        self.columns = [_CommentedColumn(column) for column in table.columns]


@compiles(_CommentedColumn)
def _compile_column(element: _CommentedColumn, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_create_column(element, **options)
    return text + _comment(compiler, " comment ", element.element.comment)


@compiles(_CreateCommentedTable)
def _compile_table(element: _CreateCommentedTable, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_create_table(element, **options)
    return text.strip() + _comment(compiler, " comment = ", element.element.comment)


def _comment(compiler: Any, before: str, comment: str | None) -> str:
    if not comment:
        return ""
    literal: str = compiler.sql_compiler.render_literal_value(comment, sa.String())
    return before + literal
