"""What two lenient grammars let pass and Snowflake refuses, or reads as something else than DuckDB does.

Each rule looks at sqlglot's tree, or at its tokens, and gives sentences for people; its docstring names the page of
Snowflake's documentation that it rests on (https://docs.snowflake.com/en/...).
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.tokens import Token, TokenType

from tests.sql.reference import NEVER_NULL, RESERVED_WORDS

Rule = Callable[[exp.Expression], Iterator[str]]
_NOT_OURS: Final = {
    exp.OnConflict: "ON CONFLICT: Snowflake has MERGE instead",
    exp.Returning: "RETURNING: no such clause",
    exp.Filter: "FILTER (WHERE ...) of an aggregate: write sum(case when ... end)",
    exp.Pragma: "PRAGMA is DuckDB's",
    exp.Attach: "ATTACH is DuckDB's",
    exp.Lambda: "a lambda: no function that the product uses takes one",
}
_NO_TEXT: Final = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Round, exp.Floor, exp.Ceil, exp.Abs, exp.Length)
_ESCAPES: Final = frozenset("\\'\"bfnrt0ux")  # after a backslash in a text: sql-reference/data-types-text
_REGEX_FUNCTIONS: Final = (exp.RegexpLike, exp.RegexpReplace, exp.RegexpExtract, exp.RegexpFullMatch, exp.RegexpInstr)
_NON_GREEDY: Final = re.compile(r"(?<!\\)[*+?}]\?")


def refused_clauses(tree: exp.Expression) -> Iterator[str]:
    """sql-reference/constructs: clauses that sqlglot reads in any dialect."""
    for kind, why in _NOT_OURS.items():
        if tree.find(kind):
            yield why
    for select in tree.find_all(exp.Select):
        distinct = select.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
            yield "DISTINCT ON: write QUALIFY row_number() ... = 1"
        if select.args.get("windows"):
            yield "a named WINDOW: write each window out"
    for join in tree.find_all(exp.Join):
        word = str(join.args.get("kind") or join.args.get("method") or "").upper()
        if word in ("SEMI", "ANTI", "POSITIONAL"):
            yield f"{word} JOIN is DuckDB's: write exists, or in"
    for cte in tree.find_all(exp.CTE):
        if cte.args.get("materialized") is not None:
            yield "MATERIALIZED of a common table expression: no such word"
    for insert in tree.find_all(exp.Insert):
        if insert.args.get("alternative"):
            yield f"INSERT OR {insert.args['alternative']}: write a MERGE"


def subqueries(tree: exp.Expression) -> Iterator[str]:
    """user-guide/querying-subqueries: a correlated scalar subquery must be seen to give one row, so by an aggregate
    without GROUP BY; LIMIT in a correlated one is refused."""
    for scope in _scopes(tree):
        if not (scope.is_subquery and _is_correlated(scope)):
            continue
        query = scope.expression
        if query.args.get("limit"):
            yield f"LIMIT in a correlated subquery: {_short(query)}"
        parent = query.parent.parent if isinstance(query.parent, exp.Subquery) else query.parent
        is_scalar = not isinstance(query.parent, exp.Exists | exp.In) and not isinstance(parent, exp.Exists | exp.In)
        is_aggregate = any(one.find(exp.AggFunc) for one in query.selects) and not query.args.get("group")
        if is_scalar and not is_aggregate:
            yield f"a correlated scalar subquery that is not one aggregate: {_short(query)}"


def _is_correlated(scope: Scope) -> bool:
    """By columns that name a table which is not among its own; a column without one is its own."""
    return any(column.table and column.table not in scope.sources for column in scope.columns)


def aliases(tree: exp.Expression) -> Iterator[str]:
    """sql-reference/sql/select: what stands twice in one FROM is ambiguous wherever it is named."""
    for select in tree.find_all(exp.Select):
        tables = [one.this for one in (select.args.get("from_"), *select.args.get("joins", ())) if one is not None]
        names = [table.alias_or_name.lower() for table in tables]
        for name in sorted({name for name in names if name and names.count(name) > 1}):
            yield f"{name} stands twice in one FROM"


def reserved_names(tree: exp.Expression) -> Iterator[str]:
    """sql-reference/reserved-keywords."""
    for identifier in tree.find_all(exp.Identifier):
        if not identifier.args.get("quoted") and identifier.name.upper() in RESERVED_WORDS:
            yield f"{identifier.name} is a reserved word and stands as a name"


def patterns(tree: exp.Expression) -> Iterator[str]:
    """sql-reference/functions-regexp: POSIX extended; no lookaround, no (?...) groups, no non-greedy quantifiers."""
    for call in tree.find_all(*_REGEX_FUNCTIONS):
        pattern = call.args.get("expression")
        if isinstance(pattern, exp.Literal) and pattern.is_string:
            if "(?" in pattern.name:
                yield f"(?...) in the pattern {pattern.name!r}"
            if _NON_GREEDY.search(pattern.name.replace("(?", "")):
                yield f"a non-greedy quantifier in the pattern {pattern.name!r}"


def tried_casts(tree: exp.Expression) -> Iterator[str]:
    """sql-reference/functions/try_cast: of text alone; DuckDB tries any type."""
    for cast in tree.find_all(exp.TryCast):
        tried = cast.this.unnest()
        is_other_type = isinstance(tried, exp.Cast) and not tried.to.is_type(*exp.DataType.TEXT_TYPES)
        if is_other_type or isinstance(tried, _NO_TEXT) or (isinstance(tried, exp.Literal) and not tried.is_string):
            yield f"try_cast of what is no text: {_short(cast)}"


def greatest_of_null(tree: exp.Expression) -> Iterator[str]:
    """sql-reference/functions/{greatest,least}: null where one argument is; DuckDB leaves such an argument out."""
    for call in tree.find_all(exp.Greatest, exp.Least):
        for argument in (call.this, *call.expressions):
            if not _is_never_null(argument):
                yield f"{call.key} of {_short(argument)}, which may be null: coalesce it"


def _is_never_null(value: exp.Expression) -> bool:
    """By its form, or by the names of `NEVER_NULL`."""
    if isinstance(value, exp.Literal | exp.Count):
        return True
    if isinstance(value, exp.Column):
        return value.name.lower() in NEVER_NULL
    if isinstance(value, exp.Coalesce):
        return any(_is_never_null(one) for one in (value.this, *value.expressions))
    if isinstance(value, exp.Greatest | exp.Least | exp.Binary | exp.DateAdd):
        return all(_is_never_null(one) for one in (value.this, value.expression, *value.expressions) if one)
    if isinstance(value, exp.Cast | exp.Paren | exp.Min | exp.Max | exp.Round | exp.DateTrunc | exp.TimestampTrunc):
        return not isinstance(value, exp.TryCast) and _is_never_null(value.this)
    return False


RULES: Final[tuple[Rule, ...]] = (
    refused_clauses,
    subqueries,
    aliases,
    reserved_names,
    patterns,
    tried_casts,
    greatest_of_null,
)


def of_tokens(sql: str) -> Iterator[str]:
    """What is gone when the text has been parsed: comments that were meant as divisions, escapes, quoted names."""
    tokens = sqlglot.tokenize(sql, read="snowflake")
    # dbt-snowflake gives the columns of its look-ups names of their own: what a statement names, it may quote.
    given = {after.text for before, after in zip(tokens, tokens[1:], strict=False) if before.text.lower() == "as"}
    for token in tokens:
        is_quoted = token.token_type == TokenType.IDENTIFIER and token.text == token.text.lower()
        if is_quoted and token.text not in given:
            yield f'the quoted lower-case name "{token.text}": Snowflake\'s own are upper case'
        if token.token_type in (TokenType.HASH_ARROW, TokenType.DHASH_ARROW, TokenType.DARROW):
            yield f"the operator {token.text}"
        if token.token_type in (TokenType.CARET, TokenType.DSTAR, TokenType.DIV):
            yield f"the operator {token.text}: use power, or div0 and floor"
    yield from _intervals(tokens)
    yield from _null_order(tokens)
    yield from _comments(sql, tokens)
    yield from _backslashes(sql, tokens)


def _intervals(tokens: list[Token]) -> Iterator[str]:
    """sql-reference/data-types-datetime: an interval constant is a text, `interval '1 day'`."""
    for token, after in zip(tokens, tokens[1:], strict=False):
        if token.token_type == TokenType.INTERVAL and after.token_type != TokenType.STRING:
            yield f"interval {after.text}: the constant must be quoted, or use dateadd"


def _null_order(tokens: list[Token]) -> Iterator[str]:
    """sql-reference/constructs/order-by: nulls are the greatest values there; to DuckDB they are last either way. So a
    descending order must say where they go, or stand over what is never null (`NEVER_NULL`)."""
    for before, token, after in zip(tokens, tokens[1:], [*tokens[2:], None], strict=False):
        says = after is not None and after.text.upper() == "NULLS"
        if token.token_type == TokenType.DESC and not says and before.text.lower() not in NEVER_NULL:
            yield f"order by {before.text} desc: say nulls first or nulls last"


def _comments(sql: str, tokens: list[Token]) -> Iterator[str]:
    """`//` begins a comment: the rest of the line, a divisor in DuckDB, would be gone without a word."""
    for start, end in _between(sql, tokens):
        bare = re.sub(r"/\*.*?\*/|--[^\n]*", "", sql[start:end], flags=re.DOTALL)
        if "//" in bare:
            yield "// begins a comment in Snowflake; to DuckDB it is a division"


def _backslashes(sql: str, tokens: list[Token]) -> Iterator[str]:
    """A backslash escapes in a Snowflake text, and is a character in DuckDB's: one that escapes nothing is dropped."""
    for token in tokens:
        raw = sql[token.start : token.end + 1]
        if token.token_type == TokenType.STRING and raw.startswith("'"):
            for match in re.finditer(r"\\(.)", raw[1:-1], re.DOTALL):
                if match[1] not in _ESCAPES:
                    yield f"the backslash before {match[1]!r} in a text is dropped"


def _between(sql: str, tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Stretches that belong to no token: spaces and comments."""
    place = 0
    for token in tokens:
        yield place, token.start
        place = token.end + 1
    yield place, len(sql)


def _scopes(tree: exp.Expression) -> list[Scope]:
    queries = [tree] if isinstance(tree, exp.Query) else [one for one in tree.find_all(exp.Query) if _is_top(one)]
    return [scope for query in queries for scope in traverse_scope(query)]


def _is_top(query: exp.Query) -> bool:
    return query.find_ancestor(exp.Query) is None and not isinstance(query, exp.Subquery)


def _short(query: exp.Expression) -> str:
    text = query.sql("snowflake")
    return text if len(text) <= 120 else f"{text[:117]}..."
