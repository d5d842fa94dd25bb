"""Schemas of the product on Snowflake: there, with the privileges that its parts need, and with the tables.

Snowflake lists only what the role has some privilege on: a table that is not listed may be there. So the names that a
part can't do without are known, and of one that is not seen both are told: what makes it, and what lets it be seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared.doctor.findings import Finding, fail, ok, warn
from shared.doctor.privileges import OUTBOUND, RAW, Grants, Need, Part, needs_of, to_grant
from shared.doctor.snowflake_session import Session

_BY_NAME: Final = 2  # tables that get a statement each


def examine_schemas(session: Session, grants: Grants, parts: Sequence[Part]) -> Iterator[Finding]:
    """One finding a schema. Raises GtmError: they may not be listed."""
    settings = session.settings
    database, role = settings.snowflake_database, settings.snowflake_role
    present = {str(row["name"]).lower() for row in session.rows(f"show terse schemas in database {database}")}
    for need in needs_of(parts):
        full = f"{database}.{need.schema}"
        if need.schema in present:
            yield _examine(session, grants, need, full)
            continue
        yield fail(
            f"schema {need.schema}",
            f"{full} is not there, or {role} may not use it.",
            "gtm warehouse init",
            to_grant(sorted(need.on_schema), "schema", full, role),
        )


def _examine(session: Session, grants: Grants, need: Need, full: str) -> Finding:
    check, role = f"schema {need.schema}", session.settings.snowflake_role
    seen = {
        str(row["name"]).lower(): "VIEW" if "VIEW" in str(row.get("kind")).upper() else "TABLE"
        for row in session.rows(f"show terse objects in schema {full}")
    }
    missing = grants.missing("schema", full, need.on_schema)
    lacking = _lacking(grants, need, full, seen)
    unseen = sorted(need.expected - seen.keys())
    mends = [to_grant(missing, "schema", full, role)] if missing else []
    mends += _table_grants(lacking, need, full, seen, role)
    said = [f"{role} lacks: {', '.join(_said(missing, lacking))}."] if missing or lacking else []
    if unseen:
        by_name = (to_grant(sorted(need.on(name)), "table", f"{full}.{name}", role) for name in unseen)
        said.append(f"{', '.join(unseen)}: not there, or {role} has no privilege on it and so can't see it.")
        mends += [_who_fills(need.schema), *by_name]
    if said:
        return fail(check, " ".join(said), *mends)
    if not seen and need.schema != "analytics_failures":
        said_of_none = f"No table of it is there yet, or {role} has no privilege on any and so sees none."
        return warn(check, said_of_none, _who_fills(need.schema), *_on_all(sorted(need.on_tables), "TABLE", full, role))
    return ok(check, f"{len(seen)} tables and views")


def _lacking(grants: Grants, need: Need, schema: str, seen: Mapping[str, str]) -> dict[str, list[str]]:
    """Table or view -> the privileges on it that are missing. A view can only be read, replaced or dropped."""
    lacking = {}
    for name, kind in seen.items():
        wanted = need.on(name) if kind == "TABLE" else need.on(name) & {"SELECT", "OWNERSHIP"}
        if missing := grants.missing(kind, f"{schema}.{name}", wanted):
            lacking[name] = missing
    return lacking


def _said(missing: Sequence[str], lacking: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from (privilege.lower() for privilege in missing)
    for privilege in sorted({one for privileges in lacking.values() for one in privileges}):
        yield f"{sum(privilege in privileges for privileges in lacking.values())} without {privilege.lower()}"


def _table_grants(
    lacking: Mapping[str, Sequence[str]], need: Need, schema: str, seen: Mapping[str, str], role: str
) -> list[str]:
    """One statement a table where one or two are concerned, and of those that are needed by name; else for all."""
    many = [name for name in lacking if name not in need.on_named]
    if len(many) <= _BY_NAME < len(seen):
        many = []
    grants = []
    for kind in ("TABLE", "VIEW"):
        wanted = sorted({privilege for name in many if seen[name] == kind for privilege in lacking[name]})
        grants += _on_all(wanted, kind, schema, role)
    single = sorted(set(lacking) - set(many))
    return grants + [to_grant(lacking[name], seen[name], f"{schema}.{name}", role) for name in single]


def _on_all(privileges: Sequence[str], kind: str, schema: str, role: str) -> list[str]:
    """Now and, but for the ownership, which is who makes a table's, in future."""
    if not privileges:
        return []
    scopes = ("all",) if list(privileges) == ["OWNERSHIP"] else ("all", "future")
    return [to_grant(privileges, f"{scope} {kind}s in schema", schema, role) for scope in scopes]


def _who_fills(schema: str) -> str:
    return "gtm warehouse init" if schema in (RAW, OUTBOUND) else "gtm build"
