"""Snowflake's statements made fit for DuckDB, beyond what fakesnow does: keys, temporary names, MERGE.

Each of these mends a fault of fakesnow 0.11.22 that a test shows (tests/warehouse/test_snowflake_emulator.py).
"""

from collections.abc import MutableMapping
from typing import Final

from sqlglot import exp

_KEYS: Final = (exp.PrimaryKey, exp.ForeignKey, exp.UniqueColumnConstraint, exp.Constraint)
Name = tuple[str, str, str]
"""Database, schema, object: in upper case where they were not quoted."""

Comment = tuple[str, tuple[str, ...], str]
"""Table, view or column; its name in full; the text."""


def name_of(table: exp.Table, database: str | None, schema: str | None) -> Name:
    """In full, given what is current in the session."""
    catalog = table.args.get("catalog")
    db = table.args.get("db")
    return _text(catalog) or (database or ""), _text(db) or (schema or ""), _text(table.this)


def without_keys(expression: exp.Expression) -> list[str]:
    """Take primary, unique and foreign keys out of a CREATE TABLE: Snowflake keeps them as a note and enforces only
    that a key is not null. Returns the columns of the primary key."""
    schema = expression.this
    if not (isinstance(expression, exp.Create) and isinstance(schema, exp.Schema)):
        return []
    key: list[str] = []
    kept: list[exp.Expression] = []
    for one in schema.expressions:
        found = one if isinstance(one, exp.PrimaryKey) else one.find(exp.PrimaryKey)
        if found is not None:
            key += [_text(part.this if isinstance(part, exp.Ordered) else part) for part in found.expressions]
        if not isinstance(one, _KEYS):
            kept.append(one)
    for column in (one for one in kept if isinstance(one, exp.ColumnDef)):
        constraints = [one for one in column.constraints if not isinstance(one.kind, exp.UniqueColumnConstraint)]
        if any(isinstance(one.kind, exp.PrimaryKeyColumnConstraint) for one in constraints):
            key.append(_text(column.this))
            constraints = [one for one in constraints if not isinstance(one.kind, exp.PrimaryKeyColumnConstraint)]
        if _text(column.this) in key and not any(_is_not_null(one) for one in constraints):
            constraints.append(exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
        column.set("constraints", constraints)
    schema.set("expressions", kept)
    return key


def without_comments(create: exp.Create, name: Name) -> list[Comment]:
    """Take the comments out of a CREATE TABLE or VIEW: fakesnow breaks at an apostrophe in one."""
    found: list[Comment] = []
    properties = create.args.get("properties")
    for one in list(properties.expressions) if properties is not None else []:
        if isinstance(one, exp.SchemaCommentProperty):
            found.append((str(create.args["kind"]).lower(), name, one.this.name))
            one.pop()
    if properties is not None and not properties.expressions:
        create.set("properties", None)
    columns = create.this.expressions if isinstance(create.this, exp.Schema) else []
    for column in (one for one in columns if isinstance(one, exp.ColumnDef)):
        for constraint in list(column.constraints):
            if isinstance(constraint.kind, exp.CommentColumnConstraint):
                found.append(("column", (*name, _text(column.this)), constraint.kind.this.name))
                constraint.pop()
    return found


def temporary_name(expression: exp.Expression, database: str | None, schema: str | None) -> Name | None:
    """Of the temporary table or view that the statement creates."""
    properties = expression.args.get("properties")
    if not isinstance(expression, exp.Create) or properties is None:
        return None
    if not any(isinstance(one, exp.TemporaryProperty) for one in properties.expressions):
        return None
    table = expression.find(exp.Table)
    return name_of(table, database, schema) if isinstance(table, exp.Table) else None


def unqualify_temporary(
    expression: exp.Expression, temporary: MutableMapping[str, Name], database: str | None, schema: str | None
) -> bool:
    """Take database and schema from the names of the session's temporary objects: DuckDB has one namespace for them.

    Returns whether there is one. Raises NotImplementedError where one session has two of a name in two schemas.
    """
    created = temporary_name(expression, database, schema)
    if created is not None:
        if temporary.get(created[2], created) != created:
            raise NotImplementedError(f"two temporary objects called {created[2]} in one session")
        temporary[created[2]] = created
    found = False
    for table in expression.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and temporary.get(_text(table.this)) == name_of(
            table, database, schema
        ):
            found = True
            if isinstance(expression, exp.Drop):
                del temporary[_text(table.this)]
            is_described = isinstance(expression, exp.Describe)
            table.set("db", exp.to_identifier("main", quoted=True) if is_described else None)
            table.set("catalog", exp.to_identifier("temp", quoted=True) if is_described else None)
    return found


def divide(expression: exp.Expression) -> exp.Expression:
    """By the macro of snowflake_patches.py, innermost first."""
    for quotient in reversed(list(expression.find_all(exp.Div))):
        call = exp.Anonymous(
            this="_fs_global.main._fs_divide", expressions=[quotient.this.copy(), quotient.expression.copy()]
        )
        if quotient is expression:
            return call
        quotient.replace(call)
    return expression


def fit_merge(merge: exp.Merge) -> exp.Merge:
    """DuckDB takes no alias before the columns that are set or inserted."""
    for when in merge.args["whens"].expressions:
        then = when.args.get("then")
        if isinstance(then, exp.Update):
            for assignment in then.expressions:
                _without_table(assignment.this)
        elif isinstance(then, exp.Insert) and then.this is not None:
            for column in then.this.expressions:
                _without_table(column)
    return merge


def rows_updated_twice(merge: exp.Merge) -> str | None:
    """DuckDB's SQL for the number of target rows that several source rows would update; None: it updates none."""
    conditions = [
        when.args["condition"].sql(dialect="duckdb") if when.args.get("condition") is not None else "true"
        for when in merge.args["whens"].expressions
        if isinstance(when.args.get("then"), exp.Update)
    ]
    if not conditions:
        return None
    target, source, on = (merge.args[part].sql(dialect="duckdb") for part in ("this", "using", "on"))
    rows = (
        f"select 1 from {target} join {source} on {on} where {' or '.join(f'({one})' for one in conditions)}"
        f" group by {merge.this.alias_or_name}.rowid having count(*) > 1"
    )
    return f"select count(*) from ({rows}) as doubled"


def _without_table(column: exp.Expression) -> None:
    if isinstance(column, exp.Column):
        for part in ("table", "db", "catalog"):
            column.set(part, None)


def _is_not_null(constraint: exp.ColumnConstraint) -> bool:
    return isinstance(constraint.kind, exp.NotNullColumnConstraint)


def _text(part: exp.Expression | None) -> str:
    if part is None:
        return ""
    identifier = part.this if isinstance(part, exp.Column) else part
    if isinstance(identifier, exp.Identifier):
        return str(identifier.this) if identifier.quoted else str(identifier.this).upper()
    return str(getattr(identifier, "name", "")).upper()
