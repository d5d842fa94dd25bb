"""The public suffix list in the warehouse: by it the data firewall tells the domain that a company registered.

The list is that of the package `publicsuffixlist`, which ships a snapshot: no download, and the same list for everyone
who runs the same lock.
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

import sqlalchemy as sa
from publicsuffixlist import PSLFILE

from shared.errors import TerminalError
from shared.warehouse import Warehouse, merge_staged, stage_rows

_MOST_LABELS: Final = 7  # as many as macros/firewall/domains.sql joins
_NOT_ALLOWED: Final = ("warehouse-grant-missing", "warehouse-object-missing")

_metadata = sa.MetaData(schema="raw")

public_suffixes = sa.Table(
    "public_suffixes",
    _metadata,
    sa.Column("rule", sa.String, primary_key=True, comment="As the list has it, in Unicode or in Punycode"),
    sa.Column("tail", sa.String, nullable=False, comment="Last labels that a host must have for the rule to match"),
    sa.Column("suffix_labels", sa.BigInteger, nullable=False, comment="Labels of the suffix of a host that matches"),
    sa.Column("is_exception", sa.Boolean, nullable=False, comment="Wins over every longer rule"),
    sa.Column("is_private", sa.Boolean, nullable=False, comment="Its customers are owners of their own"),
    sa.Column("list_version", sa.String, nullable=False, comment="Version of the package publicsuffixlist"),
    comment="Rules of https://publicsuffix.org, one row each; docs/contracts.md",
)


def ensure_public_suffixes(warehouse: Warehouse) -> int:
    """Make `raw.public_suffixes` hold the package's list. A repeat with the same package reads one row and writes none.

    Returns:
        Rules written; 0 when the stored list was the package's.

    Raises:
        TerminalError: `public-suffixes-too-deep`, when a new list has rules of more labels than the SQL joins;
            `warehouse-object-missing`, with the grants, when the role may not write it.
    """
    list_version = version("publicsuffixlist")
    try:
        with warehouse.core() as connection:
            if _stored_version(connection) == list_version:
                return 0
        return _write(warehouse, list(read_rules(list_version)), list_version)
    except (sa.exc.ProgrammingError, TerminalError) as error:
        if isinstance(error, TerminalError) and error.code not in _NOT_ALLOWED:
            raise
        said = error.detail if isinstance(error, TerminalError) else str(error.orig).splitlines()[0]
        raise TerminalError(
            f"raw.public_suffixes, which the build keeps itself, can't be written: {said} "
            "SNOWFLAKE_ROLE needs `grant usage, create table on schema raw to role <role>;` and, where another role "
            "made the table, `grant select, insert, update, delete on table raw.public_suffixes to role <role>;`.",
            code="warehouse-object-missing",
            title="An object does not exist or is not authorized",
        ) from error


def _write(warehouse: Warehouse, rows: list[dict[str, Any]], list_version: str) -> int:
    with warehouse.core(write=True) as connection:
        create_public_suffixes(connection)
        for staged in stage_rows(
            warehouse, connection, public_suffixes, rows, "stored.list_version <> offered.list_version"
        ):
            merge_staged(connection, staged.target, staged.offered, update_when=staged.update_when)
        connection.execute(sa.delete(public_suffixes).where(public_suffixes.c.list_version != list_version))
    return len(rows)


def create_public_suffixes(connection: sa.Connection) -> None:
    """The empty table, where there is none."""
    _metadata.create_all(connection, checkfirst=True)


def read_rules(list_version: str) -> Iterator[dict[str, Any]]:
    """The list's rules as rows; one with letters beyond ASCII comes in Punycode, too, as hosts may."""
    seen: set[str] = set()
    is_private = False
    with open(PSLFILE, encoding="utf-8") as lines:
        for line in lines:
            if "===BEGIN PRIVATE DOMAINS===" in line:
                is_private = True
            if not line.strip() or line.startswith("//"):
                continue
            rule = line.split()[0].lower()
            for form in sorted({rule, _punycode(rule)} - seen):
                seen.add(form)
                yield {**_parse_rule(form), "is_private": is_private, "list_version": list_version}


def _parse_rule(rule: str) -> dict[str, Any]:
    is_exception = rule.startswith("!")
    tail = rule.removeprefix("!").removeprefix("*.")
    labels = tail.count(".") + 1
    if labels > _MOST_LABELS:
        raise TerminalError(
            f"The public suffix list has the rule {rule} of {labels} labels; dbt_transform/macros/firewall/domains.sql"
            f" joins {_MOST_LABELS}. Raise most_labels there and _MOST_LABELS here.",
            code="public-suffixes-too-deep",
            title="The public suffix list is deeper than the firewall",
        )
    suffix_labels = labels + (1 if rule.startswith("*.") else 0) - (1 if is_exception else 0)
    return {"rule": rule, "tail": tail, "suffix_labels": suffix_labels, "is_exception": is_exception}


def _punycode(rule: str) -> str:
    return rule if rule.isascii() else rule.encode("idna").decode()


def _stored_version(connection: sa.Connection) -> str | None:
    """None also for a list that was never finished or comes from two versions."""
    exists = sa.text(
        "select count(*) from information_schema.tables"
        " where lower(table_schema) = 'raw' and lower(table_name) = 'public_suffixes'"
    )
    if not connection.execute(exists).scalar_one():
        return None
    oldest, newest = connection.execute(
        sa.select(sa.func.min(public_suffixes.c.list_version), sa.func.max(public_suffixes.c.list_version))
    ).one()
    return str(newest) if oldest == newest else None
