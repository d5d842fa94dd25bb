"""Statements that fakesnow does not know: session parameters, comments, grants, REMOVE, keys, who and where one is."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from fakesnow.transforms import stage

from tests.fakes.snowflake_failures import Failure
from tests.fakes.snowflake_results import Answer, to_rowtype
from tests.fakes.snowflake_show import show_account

if TYPE_CHECKING:
    from tests.fakes.snowflake_session import Session

_DONE: Final = "Statement executed successfully."
_LITERAL: Final = r"('(?:[^'\\]|''|\\.)*'|\$\$.*?\$\$)"
_NAME: Final = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+)){0,3})'
_SET: Final = re.compile(rf"\b(\w+)\s*=\s*({_LITERAL}|[^\s;,]+)", re.I | re.S)
_SETS: Final = re.compile(r"alter\s+session\s+set\s+(?=\w+\s*=)", re.I)
_TRAILING: Final = re.compile(r"\s*/\*(?:(?!\*/).)*\*/\s*;?\s*\Z", re.S)
_UNSET: Final = re.compile(r"alter\s+session\s+unset\s+(\w+)", re.I)
_COMMENT: Final = re.compile(
    rf"comment\s+(?:if\s+exists\s+)?on\s+(\w+)\s+{_NAME}\s+is\s+{_LITERAL}\s*;?\s*$", re.I | re.S
)
_ALTER_COMMENTS: Final = re.compile(
    rf"alter\s+(table|view)\s+(?:if\s+exists\s+)?{_NAME}\s+(?:alter|modify)\s+(?:column\s+)?(.*\bcomment\b.*)$",
    re.I | re.S,
)
_COLUMN_COMMENT: Final = re.compile(rf'(?:column\s+)?("[^"]+"|\w+)\s+comment\s+{_LITERAL}', re.I | re.S)
_SHOW_PARAMETERS: Final = re.compile(rf"show\s+parameters(?:\s+like\s+{_LITERAL})?", re.I)
_SHOW_KEYS: Final = re.compile(rf"show\s+primary\s+keys\s+in\s+(?:table\s+)?{_NAME}", re.I)
_SHOW_SCHEMAS: Final = re.compile(
    rf"show\s+(?:terse\s+)?schemas(?:\s+like\s+{_LITERAL})?(?:\s+in\s+(?:database\s+)?(?!account\b){_NAME})?", re.I
)
_REMOVE: Final = re.compile(r"(?:remove|rm)\s+'?@([^\s';]+)'?", re.I)
_USE: Final = re.compile(rf"use\s+(role|warehouse)\s+{_NAME}", re.I)
_ABOUT: Final = re.compile(r"select\s+((?:current_\w+\(\)(?:\s+as\s+\w+)?\s*,?\s*)+);?\s*$", re.I)
_CLOCK: Final = re.compile(r"select\s+date_part\(epoch_millisecond,\s*sysdate\(\)\)\s*;?\s*$", re.I)
_NOTHING_TO_DO: Final = re.compile(
    r"create\s+(or\s+replace\s+)?(role|warehouse|user|resource\s+monitor)\b|alter\s+(warehouse|user|role)\b"
    r"|alter\s+table\s+\S+\s+(add|drop)\s+(constraint|primary\s+key)\b|undrop\b|alter\s+table\s+\S+\s+cluster\b",
    re.I,
)
_DEFAULTS: Final = {
    "QUERY_TAG": "",
    "TIMEZONE": "America/Los_Angeles",
    "STATEMENT_TIMEOUT_IN_SECONDS": "172800",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "DATE_INPUT_FORMAT": "AUTO",
    "DATA_RETENTION_TIME_IN_DAYS": "1",
}


def answer_command(session: "Session", kind: str, text: str) -> Answer | None:
    """None: it is fakesnow's."""
    if kind == "session":
        return _set_parameter(session, text)
    if kind == "grant" or _NOTHING_TO_DO.match(text):
        return status(session, _DONE)
    if kind == "remove" and (found := _REMOVE.match(text)):
        return _remove(session, found.group(1))
    if kind == "show":
        return _show(session, text)
    if kind == "use" and (found := _USE.match(text)):
        setattr(session, found.group(1).lower(), found.group(2).strip('"').upper())
        return status(session, _DONE)
    if kind == "ddl" and (found := _COMMENT.match(text)):
        return _comment(session, found.group(1), found.group(2), found.group(3))
    if kind == "ddl" and (found := _ALTER_COMMENTS.match(text)):
        for column, literal in _COLUMN_COMMENT.findall(found.group(3)):
            _comment(session, "column", f"{found.group(2)}.{column}", literal)
        return status(session, _DONE)
    if kind == "select" and (found := _ABOUT.match(_TRAILING.sub("", text))):
        return _about(session, found.group(1))
    if kind == "select" and _CLOCK.match(text):
        return rows_of(
            session, ["DATE_PART(EPOCH_MILLISECOND, SYSDATE())"], [(str(session.account.history.read_clock()),)]
        )
    return None


def status(session: "Session", text: str) -> Answer:
    """One row, one column."""
    return rows_of(session, ["status"], [(text,)])


def rows_of(session: "Session", names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Answer:
    """All text."""
    columns = [pa.array([row[index] for row in rows], pa.string()) for index in range(len(names))]
    rowtype = to_rowtype([(name, "VARCHAR") for name in names])
    table = pa.table(dict(zip(names, columns, strict=True)))
    return Answer(table, rowtype, 0, len(rows), session.account.next_query_id())


def split_name(name: str) -> list[str]:
    """Parts of a dotted name, in upper case where they were not quoted."""
    parts = re.findall(r'"[^"]+"|[^.]+', name)
    return [part[1:-1] if part.startswith('"') else part.upper() for part in parts]


def _set_parameter(session: "Session", text: str) -> Answer:
    text = _TRAILING.sub("", text)  # dbt says behind each statement what it is for
    if found := _SETS.match(text):
        settings = re.sub(r"/\*.*?\*/\s*;?\s*\Z", "", text[found.end() :], flags=re.S)
        for name, literal, _ in _SET.findall(settings):
            session.set_parameter(name.upper(), _text(literal) if literal[0] in "'$" else literal)
    elif found := _UNSET.match(text):
        session.set_parameter(found.group(1).upper(), None)
    elif text.lower().startswith("alter"):
        raise Failure("001003", "42000", "SQL compilation error:\nsyntax error in ALTER SESSION")
    else:
        return rows_of(session, ["status"], [(_DONE,)])  # SET of a variable: nobody of ours reads one
    return status(session, _DONE)


def _comment(session: "Session", kind: str, name: str, literal: str) -> Answer:
    """DuckDB's own, which stays with the file."""
    parts = split_name(name)
    missing = (4 if kind.lower() == "column" else 3) - len(parts)
    parts = [session.connection.database, session.connection.schema][:missing] + parts
    if kind.lower() in ("table", "view", "column"):
        session.note_comments([(kind, tuple(parts), _text(literal))])
    return status(session, _DONE)


def _show(session: "Session", text: str) -> Answer | None:
    if found := _SHOW_PARAMETERS.match(text):
        if (fault := session.account.faults.take("show", text)) is not None:
            return rows_of(session, ["key", "value", "default", "level", "description", "type"], fault.rows)
        values = {**_DEFAULTS, **session.parameters}
        wanted = re.compile(_text(found.group(1) or "'%'").replace("%", ".*"), re.I)
        names = ["key", "value", "default", "level", "description", "type"]
        rows = [
            (key, value, _DEFAULTS.get(key, ""), "SESSION" if key in session.parameters else "", "", "STRING")
            for key, value in sorted(values.items())
            if wanted.fullmatch(key)
        ]
        return rows_of(session, names, rows)
    if found := _SHOW_KEYS.match(text):
        parts = split_name(found.group(1))
        parts = [session.connection.database, session.connection.schema][: 3 - len(parts)] + parts
        key = session.account.keys.get((parts[0], parts[1], parts[2]), [])
        names = ["database_name", "schema_name", "table_name", "column_name", "key_sequence"]
        return rows_of(session, names, [(*parts, column, str(place)) for place, column in enumerate(key, 1)])
    if found := _SHOW_SCHEMAS.match(text):
        return _schemas(session, _text(found.group(1) or "'%'"), found.group(2))
    return show_account(session, text)


def _schemas(session: "Session", pattern: str, database: str | None) -> Answer:
    """fakesnow takes no notice of LIKE."""
    wanted = split_name(database)[-1] if database else session.connection.database
    found = session.connection._duck_conn.execute(
        "select schema_name from information_schema.schemata where catalog_name = ? and schema_name ilike ?"
        " and schema_name not in ('main', '_fs_information_schema', 'pg_catalog') order by 1",
        [wanted, pattern],
    ).fetchall()
    names = ["created_on", "name", "kind", "database_name", "schema_name"]
    return rows_of(session, names, [(None, name.upper(), None, wanted, None) for (name,) in found])


def _remove(session: "Session", stage_name: str) -> Answer:
    """All files of a stage, or those under a path of it."""
    name, _, path = stage_name.partition("/")
    parts = split_name(name)
    parts = [session.connection.database, session.connection.schema][: 3 - len(parts)] + parts
    folder = Path(stage.internal_dir(".".join(parts))) / path
    files = [one for one in folder.rglob("*") if one.is_file()] if folder.is_dir() else []
    shutil.rmtree(folder, ignore_errors=True)
    return rows_of(session, ["name", "result"], [(one.name, "removed") for one in files])


def _about(session: "Session", listed: str) -> Answer:
    known = {
        "role": session.role.upper(),
        "warehouse": session.warehouse.upper(),
        "user": session.user.upper(),
        "database": session.connection.database,
        "schema": session.connection.schema,
        "account": "EMULATOR",
        "region": "EMULATOR",
        "version": "9.36.1",
        "session": str(id(session)),
        "transaction": session.transaction,
        "available_roles": f'["{session.role.upper()}"]',
    }
    asked = re.findall(r"current_(\w+)\(\)(?:\s+as\s+(\w+))?", listed, re.I)
    if unknown := [name for name, _ in asked if name.lower() not in known]:
        raise Failure("002140", "42601", f"SQL compilation error:\nUnknown function CURRENT_{unknown[0].upper()}")
    names = [alias.upper() or f"CURRENT_{name.upper()}()" for name, alias in asked]
    return rows_of(session, names, [[known[name.lower()] or None for name, _ in asked]])


def _text(literal: str) -> str:
    if literal.startswith("$$"):
        return literal[2:-2]
    return re.sub(r"''|\\(.)", lambda found: found.group(1) or "'", literal[1:-1])
