"""A list of any length as one bound parameter.

A parameter for each value is slow on both engines: DuckDB looks for pandas at every one of them (0.2 ms where pandas
isn't installed), and Snowflake has a limit.
"""

import json
from collections.abc import Sequence

import sqlalchemy as sa


def in_values(connection: sa.Connection, column: str, parameter: str) -> str:
    """SQL condition: `column` is one of the texts in `:parameter`, which is bound to `to_parameter(values)`."""
    if connection.dialect.name == "snowflake":
        return f"{column} in (select value::varchar from table(flatten(input => parse_json(:{parameter}))))"
    return f"""{column} in (select unnest(from_json(:{parameter}, '["VARCHAR"]')))"""


def to_parameter(values: Sequence[str]) -> str:
    """As `in_values` reads it."""
    return json.dumps(list(values))
