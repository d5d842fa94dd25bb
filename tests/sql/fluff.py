"""sqlfluff's Snowflake grammar: stricter than sqlglot's, and it keeps each function's and type's own name."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from sqlfluff.core import FluffConfig, Linter
from sqlfluff.core.parser.segments.base import BaseSegment

from tests.sql.reference import FUNCTIONS, TYPES

# Of sqlfluff's rules those that find mistakes, not style: dbt's and SQLAlchemy's own text is checked too. Columns that
# have one name, joins and unions that mean something else than they say, references to tables that are not there,
# `= null`, common table expressions that nothing reads.
_RULES: Final = "AL08,AM01,AM07,AM08,CV05,RF01,ST08"
# They look like functions and are grammar: sql-reference/sql/{insert,merge,...}, constructs/values.
_NOT_FUNCTIONS: Final = frozenset({"VALUES", "TABLE", "IN", "EXISTS"})


@cache
def _linter() -> Linter:
    return Linter(
        config=FluffConfig(overrides={"dialect": "snowflake", "rules": _RULES, "large_file_skip_byte_limit": 0})
    )


def findings(sql: str) -> Iterator[str]:
    """What sqlfluff can't parse or finds wrong, and each function and type that is in no list of ours."""
    linter = _linter()
    parsed = linter.parse_string(sql)
    for violation in parsed.violations:
        yield f"sqlfluff: {violation.desc()}"
    tree = parsed.tree
    if tree is None or parsed.violations:
        return
    for part in tree.recursive_crawl("unparsable"):
        yield f"sqlfluff can't parse: {_short(part)}"
    yield from unknown_functions(tree)
    yield from unknown_types(tree)
    for violation in linter.lint_parsed(parsed, linter.get_rulepack()).get_violations():
        yield f"sqlfluff {violation.rule_code()}: {violation.desc()}"


def unknown_functions(tree: BaseSegment) -> Iterator[str]:
    for name in sorted(function_names(tree) - FUNCTIONS):
        yield (
            f"{name} is no function that tests/sql/snowflake_reference.yml lists: if Snowflake documents it "
            f"(https://docs.snowflake.com/en/sql-reference/functions/{name.lower()}), add it; else use another one"
        )


def function_names(tree: BaseSegment) -> set[str]:
    """In capitals, as called."""
    names = {part.raw.split(".")[-1].strip().strip('"').upper() for part in tree.recursive_crawl("function_name")}
    return names - _NOT_FUNCTIONS


def unknown_types(tree: BaseSegment) -> Iterator[str]:
    for part in tree.recursive_crawl("data_type"):
        name = " ".join(part.raw.split("(")[0].upper().split())
        if name not in TYPES:
            yield f"{name} is no type of Snowflake (sql-reference/intro-summary-data-types)"


def _short(part: BaseSegment) -> str:
    text = " ".join(part.raw.split())
    return text if len(text) <= 120 else f"{text[:117]}..."
