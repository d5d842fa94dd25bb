"""Faults of fakesnow 0.11.22 that are mended where they are, since its own functions call each other.

Imported once, by the emulator's process alone; each patch has a test that shows the stock fault.
"""

from string import Template
from typing import Any, Final

import duckdb
import fakesnow.copy_into
import fakesnow.info_schema
import fakesnow.transforms.transforms
from sqlglot import Expr, exp
from sqlglot.dialects.duckdb import DuckDB

CREATED: Final = (
    "create table _fs_global.main.created"
    " (database_name varchar, schema_name varchar, name varchar, created timestamptz)"
)

# What the role has no privilege on is not listed (fault `hidden`).
HIDDEN: Final = "create table _fs_global.main.hidden (schema_name varchar, name varchar)"
_NOT_HIDDEN: Final = "not in (select (schema_name, name) from _fs_global.main.hidden)"

# fakesnow lists no views there, and forgets comments and moments.
_TABLES: Final = Template(
    """
create or replace view ${catalog}._fs_information_schema._fs_tables as
select objects.database_name as "TABLE_CATALOG", objects.schema_name as "TABLE_SCHEMA", objects.name as "TABLE_NAME",
    'SYSADMIN' as "TABLE_OWNER", objects.kind as "TABLE_TYPE", 'NO' as "IS_TRANSIENT",
    null::varchar as "CLUSTERING_KEY", objects.row_count as "ROW_COUNT", objects.row_count * 100 as "BYTES",
    1 as "RETENTION_TIME", coalesce(created.created, to_timestamp(0)) as "CREATED",
    coalesce(created.created, to_timestamp(0)) as "LAST_ALTERED",
    coalesce(created.created, to_timestamp(0)) as "LAST_DDL",
    objects.comment as "COMMENT", 'NO' as "IS_TEMPORARY", 'NO' as "IS_ICEBERG", 'NO' as "IS_DYNAMIC",
    'NO' as "IS_IMMUTABLE", 'NO' as "IS_HYBRID"
from (
    select database_name, schema_name, table_name as name, 'BASE TABLE' as kind, estimated_size as row_count, comment
    from duckdb_tables() where not temporary
    union all
    select database_name, schema_name, view_name, 'VIEW', null, comment from duckdb_views() where not temporary
) as objects
left join (
    select database_name, schema_name, name, max(created) as created from _fs_global.main.created group by all
) as created using (database_name, schema_name, name)
where objects.database_name = '${catalog}' and objects.schema_name <> '_fs_information_schema'
    and (objects.schema_name, objects.name) """
    + _NOT_HIDDEN
)

_describe_table = fakesnow.copy_into._describe_table


def _describe_also_temporary(
    table: exp.Table, connection: duckdb.DuckDBPyConnection, database: str | None, schema: str | None
) -> Any:
    """COPY INTO a temporary table: `Object does not exist` otherwise."""
    is_temporary = "select count(*) from duckdb_tables() where temporary and table_name = ?"
    if not table.db and connection.execute(is_temporary, [table.name]).fetchone() == (1,):
        return [(row[0], row[1]) for row in connection.execute(f'describe temp.main."{table.name}"').fetchall()]
    return _describe_table(table, connection, database, schema)


fakesnow.info_schema.SQL_CREATE_INFORMATION_SCHEMA_TABLES_VIEW = _TABLES
_columns_template = fakesnow.info_schema.SQL_CREATE_INFORMATION_SCHEMA_COLUMNS_VIEW.template
fakesnow.info_schema.SQL_CREATE_INFORMATION_SCHEMA_COLUMNS_VIEW = Template(
    f"{_columns_template.rstrip()} and (table_schema, table_name) {_NOT_HIDDEN}"
)
# A temporary table is in another catalog than the session's.
_describe_template = fakesnow.transforms.transforms.SQL_DESCRIBE_TABLE.template
fakesnow.transforms.transforms.SQL_DESCRIBE_TABLE = Template(
    _describe_template.replace(" _fs_information_schema.", " _fs_global._fs_information_schema.")
)
fakesnow.copy_into._describe_table = _describe_also_temporary
# Every sum would be a double: cents are lost. It is there for text that is summed, which we never do.
fakesnow.transforms.numeric_agg_implicit_cast = lambda expression: expression
# It forgets which characters are to be trimmed.
fakesnow.transforms.trim_cast_varchar = lambda expression: expression


# Whole numbers give a number with six decimals, as on Snowflake; a double would lose cents. Other numbers are divided
# as doubles, where Snowflake has decimals.
DIVISION: Final = """
create macro _fs_global.main._fs_quotient(a, b) as
    cast(case when b = 0 then error('Division by zero')
        else sign(a) * sign(b) * ((2 * abs(a) * 1000000 + abs(b)) // nullif(2 * abs(b), 0))
    end as decimal(31, 0)) * 0.000001::decimal(7, 6);
create macro _fs_global.main._fs_divide
    (a bigint, b bigint) as _fs_global.main._fs_quotient(a::hugeint, b::hugeint),
    (a hugeint, b hugeint) as _fs_global.main._fs_quotient(a, b),
    (a hugeint, b bigint) as _fs_global.main._fs_quotient(a, b::hugeint),
    (a bigint, b hugeint) as _fs_global.main._fs_quotient(a::hugeint, b),
    (a double, b double) as case when b = 0 then error('Division by zero') else a / b end;
"""
_transform = exp.Expression.transform


def _transform_in_place(self: Expr, function: Any, *arguments: Any, copy: bool = False, **options: Any) -> Any:
    """fakesnow asks 75 times for a changed copy of the whole statement, and throws the others away: half its time."""
    return _transform(self, function, *arguments, copy=copy, **options)


exp.Expression.transform = _transform_in_place


def _md5_number_lower64(generator: Any, expression: Expr) -> str:
    """sqlglot writes a function that DuckDB lacks, and DuckDB's own reads the digest's bytes the other way round."""
    return f"cast('0x' || right(md5({generator.sql(expression, 'this')}), 16) as ubigint)"


DuckDB.Generator.TRANSFORMS[exp.MD5NumberLower64] = _md5_number_lower64


def _text_of_variant(generator: Any, cast: exp.Cast) -> str:
    """`get(variant, key)::varchar` is the text itself: sqlglot leaves the quotes of JSON around it."""
    if isinstance(cast.this, exp.GetExtract) and cast.to.is_type(exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT):
        return f"({generator.sql(cast.this, 'this')} ->> {generator.sql(cast.this, 'expression')})"
    return str(generator.cast_sql(cast))


DuckDB.Generator.TRANSFORMS[exp.Cast] = _text_of_variant
