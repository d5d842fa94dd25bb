"""What a statement reads, in bytes, estimated without an account: our stand-in for EXPLAIN's `bytesAssigned`.

Views are replaced by their definitions, columns that nothing asks for are dropped (Snowflake stores columns apart), and
what is left of each table is counted whole, uncompressed. So it is an upper bound: Snowflake compresses (as a rule to a
third or less), leaves out micro-partitions by their least and greatest values, and answers a repeated query from its
result cache. A MERGE, UPDATE or DELETE that touches rows counts its target whole, as if all of it were written anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import sqlalchemy as sa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from tests.sql.checker import bare
from tests.sql.wire import Statement

_FIXED = {"boolean": 1, "date": 4}  # the rest of what is no text: 8


@dataclass
class Catalog:
    """Bytes by table and column, and the views' definitions; names in lower case, `schema.table`."""

    sizes: dict[str, dict[str, int]]
    rows: dict[str, int]
    views: dict[str, exp.Query] = field(default_factory=dict)

    @cached_property
    def schema(self) -> dict[str, dict[str, dict[str, str]]]:
        """As sqlglot's optimizer wants it; only names matter."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for table, columns in self.sizes.items():
            schema, _, name = table.partition(".")
            found.setdefault(schema, {})[name] = dict.fromkeys(columns, "varchar")
        return found

    def whole(self, table: str) -> int:
        return sum(self.sizes.get(table, {}).values())

    def note_views(self, statements: Iterable[Statement]) -> None:
        """The last definition of each view counts."""
        for one in statements:
            if one.kind == "ddl" and " view " in one.sql[:200].lower():
                tree = _parse(one.sql)
                if isinstance(tree, exp.Create) and isinstance(tree.expression, exp.Query | exp.Subquery):
                    target = tree.find(exp.Table)
                    assert target is not None
                    self.views[_name(target)] = tree.expression.unnest()


def read_catalog(connection: sa.Connection) -> Catalog:
    """Of all that is there now: a query for each table."""
    listing = (
        "select lower(t.table_schema), lower(t.table_name), lower(c.column_name), lower(c.data_type)"
        " from information_schema.columns as c inner join information_schema.tables as t"
        " on t.table_schema = c.table_schema and t.table_name = c.table_name"
        " where t.table_type <> 'VIEW' and lower(t.table_schema) in"
        " ('raw', 'analytics', 'analytics_staging', 'reverse_etl_outbound')"
    )
    columns: dict[str, dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(sa.text(listing)):
        columns.setdefault(f"{schema}.{table}", {})[column] = kind
    catalog = Catalog({}, {})
    for table, kinds in columns.items():
        texts = [name for name, kind in kinds.items() if kind in ("text", "varchar")]
        sums = "".join(f", sum(length({name}))" for name in texts)
        count, *lengths = connection.execute(sa.text(f"select count(*){sums} from {table}")).one()
        fixed = {name: _FIXED.get(kind, 8) * int(count) for name, kind in kinds.items() if name not in texts}
        sized = {name: int(length or 0) for name, length in zip(texts, lengths, strict=True)}
        catalog.sizes[table], catalog.rows[table] = fixed | sized, int(count)
    return catalog


@dataclass(frozen=True)
class Scan:
    """`is_exact` False: the columns could not be told apart, so every table that is named counts whole."""

    bytes_read: int
    is_exact: bool


def estimate(statement: Statement, catalog: Catalog) -> Scan:
    """Nothing for what needs no warehouse, and for the temporary tables of a load: they are as large as what came."""
    if not statement.wakes:
        return Scan(0, True)
    tree = _parse(statement.sql)
    if tree is None:
        return Scan(0, False)
    touched = sum(catalog.whole(name) for name in _rewritten(tree)) if statement.rows else 0
    try:
        return Scan(touched + sum(_read(query, catalog) for query in _queries(tree)), True)
    except (SqlglotError, AssertionError, KeyError, ValueError, RecursionError):  # an optimizer meets its limits
        names = {name for table in tree.find_all(exp.Table) for name in _closure(_name(table), catalog.views)}
        return Scan(touched + sum(catalog.whole(name) for name in names), False)


def _read(query: exp.Expression, catalog: Catalog) -> int:
    expanded = _expand(query.copy(), catalog.views)
    qualified = qualify(
        expanded, dialect="snowflake", schema=catalog.schema, validate_qualify_columns=False, identify=False
    )
    total = 0
    for scope in traverse_scope(pushdown_projections(qualified)):
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table) and (sizes := catalog.sizes.get(_name(source))):
                used = {column.name.lower() for column in scope.columns if column.table == alias}
                total += sum(sizes.get(name, 0) for name in used)
    return total


def _queries(tree: exp.Expression) -> Iterator[exp.Expression]:
    """The SELECTs of a statement that are in no other; of a MERGE its source."""
    if isinstance(tree, exp.Query):
        yield tree
        return
    for one in tree.find_all(exp.Query):
        if one.find_ancestor(exp.Query) is None:
            yield one


def _rewritten(tree: exp.Expression) -> list[str]:
    if isinstance(tree, exp.Merge | exp.Update | exp.Delete):
        table = tree.this if isinstance(tree.this, exp.Table) else tree.find(exp.Table)
        return [_name(table)] if isinstance(table, exp.Table) else []
    return []


def _expand(tree: exp.Expression, views: Mapping[str, exp.Query]) -> exp.Expression:
    for table in list(tree.find_all(exp.Table)):
        table.set("catalog", None)  # one database: names have two parts
        view = views.get(_name(table))
        if view is not None:
            inner = _expand(view.copy(), views)
            assert isinstance(inner, exp.Query)
            table.replace(inner.subquery(table.alias_or_name, copy=False))
    return tree


def _closure(name: str, views: Mapping[str, exp.Query]) -> set[str]:
    if name not in views:
        return {name}
    return {one for table in views[name].find_all(exp.Table) for one in _closure(_name(table), views)}


def _parse(sql: str) -> exp.Expression | None:
    try:
        return sqlglot.parse_one(bare(sql), read="snowflake")
    except SqlglotError:
        return None


def _name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}".lower() if table.db else table.name.lower()
