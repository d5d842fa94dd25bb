"""Whether Snowflake would understand a statement, as far as that can be told without an account: two grammars, lists of
its documented functions, types and reserved words, and rules for what the grammars let pass.

It proves no more than that: names, rights and what a query means are the business of the emulator and the parity suite.
"""

import re
from collections.abc import Iterator
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.sql import fluff, rules

# Statements that the product has reasons to send; anything else is a mistake, however well it parses.
_KINDS: Final = re.compile(
    r"(select|with|insert|update|delete|merge|truncate|create|alter|drop|comment|put|remove|rm|list|ls|copy|use|show"
    r"|describe|desc|begin|commit|rollback|grant|start transaction)\b",
    re.IGNORECASE,
)
# Of these sqlglot keeps only the text; sqlfluff has their grammar.
_COMMANDS: Final = re.compile(
    r"(alter session|alter warehouse|show|put|remove|rm|list|ls|grant|begin|use)\b", re.IGNORECASE
)
_TRAILING_COMMENT: Final = re.compile(r"\s*/\*(?:(?!\*/).)*\*/\s*;?\s*\Z", re.DOTALL)
_LEADING_COMMENTS: Final = re.compile(r"\s*(/\*.*?\*/|--[^\n]*\n)\s*", re.DOTALL)


def findings(sql: str) -> list[str]:
    """What is wrong with one statement, in words; none: nothing that could be found."""
    text = bare(sql)
    if not _KINDS.match(text):
        return [f"no statement that the product should send: {text[:60]!r}"]
    found = list(_by_sqlglot(text))
    if not any(one.startswith("sqlglot can't parse") for one in found):
        found += rules.of_tokens(text)
    return list(dict.fromkeys([*found, *fluff.findings(text)]))


def bare(sql: str) -> str:
    """Without the comments before and behind it, in which dbt says what it is for, and a semicolon."""
    text = _TRAILING_COMMENT.sub("", sql).strip()
    while match := _LEADING_COMMENTS.match(text):
        text = text[match.end() :]
    return text.rstrip().rstrip(";").rstrip()


def _by_sqlglot(sql: str) -> Iterator[str]:
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="snowflake") if tree is not None]
    except SqlglotError as error:
        yield f"sqlglot can't parse it: {str(error).splitlines()[0]}"
        return
    if len(trees) != 1:
        yield f"{len(trees)} statements in one: a session runs one at a time unless it is told otherwise"
    for tree in trees:
        if isinstance(tree, exp.Command) and not _COMMANDS.match(sql):
            yield "sqlglot can't parse it: it keeps the text as a command"
            return
        for rule in rules.RULES:
            yield from rule(tree)
