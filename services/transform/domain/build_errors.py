"""From what dbt says went wrong to the error that a user needs: which node, which rows or columns, what to mend."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from services.transform.domain.run_results import NodeResult, NodeStatus, count_by_status, to_one_line
from shared.errors import GtmError, TerminalError, TransientError
from shared.snowflake_codes import Place, explain_code, find_code, is_known

ROWS_SHOWN: Final = 5

# Text that says which rule or column failed. Any other text of a failing row may be personal data and is left out.
_PLAIN_TEXT_COLUMNS: Final = frozenset(
    {"attribution_model", "factor", "component", "source_table", "reason_code", "unique_field", "from_field", "message"}
)
_MISSING_OBJECT: Final = re.compile(r"does not exist or not authorized|Table with name \S+ does not exist", re.I)
_BUSY: Final = re.compile(
    r"Could not set lock on file|Failed to connect to DB|\b25000[0-9]\b|could not connect|connection (refused|reset)|"
    r"(connection|read) timed out|Name or service not known|Temporary failure in name resolution",
    re.I,
)
_REFUSED_LOGIN: Final = re.compile(r"Incorrect username or password|\b39019[0-9]\b|authentication .*failed", re.I)
# In the GRANTs of messages: dbt's words don't say which ones they are.
_SOMEWHERE: Final = Place("<account>", "<user>", "<role>", "<warehouse>", "<database>")
_EXPLAINED_HERE: Final = ("warehouse-object-missing", "warehouse-unreachable")
# What dbt calls the ways in which a project can't be understood.
_UNREADABLE: Final = re.compile(
    r"Compilation Error|Parsing Error|Syntax error|Project Error|Profile Error|Validation ?Error|YAML|Ambiguous|"
    r"depends on|is not defined|Required var|[Ii]nvalid .*(project|config)|Duplicate|no versions? .*satisf",
)
_FAILED_NODES_SHOWN: Final = 20
_MISSING_COLUMNS: Final = (
    re.compile(r'Referenced column "([^"]+)" not found'),
    re.compile(r'does not have a column named "([^"]+)"'),
    re.compile(r"invalid identifier '([^']+)'", re.I),
)
_CONTRACT_ROW: Final = re.compile(
    r"^\s*\|\s*(\w+)\s*\|[^|\n]*\|[^|\n]*\|\s*((?:missing in|data type)[^|\n]*?)\s*\|", re.M
)


def to_shown_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a failing row that may be shown: ids, numbers and the names of rules; no personal data."""
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
        if name != "found_in_job_id"  # the build itself
        if name.endswith("_id")
        or name in _PLAIN_TEXT_COLUMNS
        or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))
    }


def explain_failed_node(results: Sequence[NodeResult], rows: Sequence[Mapping[str, Any]]) -> GtmError:
    """The first node that failed, as an error. `rows`: some of the rows that a failing test found.

    The error's extensions hold `node`, `nodes` (counts) and the first failed and warned nodes with their messages; all
    of them are at GET /v1/builds/{id}/nodes.
    """
    failed = [result for result in results if result.status == "failed"]
    first = failed[0]
    extensions: dict[str, Any] = {
        "node": first.node,
        "nodes": count_by_status(results),
        "failed_nodes": to_summaries(results, "failed"),
        "warned_nodes": to_summaries(results, "warned"),
    }
    if first.kind in ("test", "unit_test") and first.failures:
        return _failed_test(first, [to_shown_row(row) for row in rows], extensions)
    return _failed_model(first, extensions)


def to_summaries(results: Sequence[NodeResult], status: NodeStatus) -> list[dict[str, Any]]:
    """The first nodes with that status, for a job's result or error."""
    return [result.to_summary() for result in results if result.status == status][:_FAILED_NODES_SHOWN]


def explain_stopped_dbt(exit_code: int, error: str, tail: str) -> GtmError:
    """dbt ended before it ran a node. `error` is what it said, `tail` the end of what isn't in its log."""
    said = error.strip() or tail.strip() or "dbt said nothing."
    if exit_code < 0:
        return TransientError(
            f"dbt was killed by signal {-exit_code}. Was the machine out of memory? The build starts over by itself.",
            code="dbt-killed",
            title="dbt was killed",
        )
    refused = _refused_by_snowflake("dbt", said, {})
    if refused is not None:
        return refused
    if _REFUSED_LOGIN.search(said):
        return TerminalError(
            f"Snowflake refuses the login: {_one_line(said)} Check SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER and "
            "SNOWFLAKE_PASSWORD, then build again.",
            code="warehouse-login-refused",
            title="The warehouse refuses the login",
        )
    known = _known_trouble("dbt", said, {})
    if known is not None:
        return known
    if error.strip() and _UNREADABLE.search(error):
        return TerminalError(
            f"dbt can't read the project: {_one_line(error)} Mend the file it names under dbt_transform/, then build "
            "again.",
            code="dbt-compile-failed",
            title="The dbt project does not compile",
        )
    return TerminalError(
        f"dbt ended with exit code {exit_code} before it had come to every node: {_last_line(said)} That is no fault "
        "of the data; dbt.log of this build, under <GTM_DATA_DIR>/dbt/runs, says more. Build again once it is mended.",
        code="dbt-crashed",
        title="dbt crashed",
        exit_code=exit_code,
    )


def _failed_test(test: NodeResult, rows: list[dict[str, Any]], extensions: dict[str, Any]) -> GtmError:
    return TerminalError(
        f"{_what_it_found(test, rows)} Scoring refuses the marts until a build succeeds.",
        code="dbt-test-failed",
        title="A test of the data failed",
        failures=test.failures,
        rows=rows,
        **extensions,
    )


def _what_it_found(test: NodeResult, rows: list[dict[str, Any]]) -> str:
    """A guard's rows say themselves what happened and the way out; of others the rows are shown."""
    told = [str(row["message"]) for row in rows if row.get("message")]
    if told:
        more = f" (and {test.failures - len(told)} more like it)" if test.failures and test.failures > len(told) else ""
        return f"{test.node}: {' '.join(told)}{more}"
    shown = "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in rows)
    return (
        f"Test {test.node} failed on {test.failures} row{'s' if test.failures != 1 else ''}"
        f"{f', such as: {shown}' if shown else ''}. "
        "Mend these records in their source and sync again, or mend the model that the test's name begins with; "
        "then start a build."
    )


def _failed_model(model: NodeResult, extensions: dict[str, Any]) -> GtmError:
    message = model.message or "dbt gives no reason."
    known = _known_trouble(model.node, message, extensions)
    if known is not None:
        return known
    if "Compilation Error" in message:
        return TerminalError(
            f"{model.node} does not compile: {_one_line(message)} Mend it under dbt_transform/, then build again.",
            code="dbt-compile-failed",
            title="The dbt project does not compile",
            **extensions,
        )
    return TerminalError(
        f"{model.node} could not be built: {_one_line(message)} "
        "Mend the model (or the data that it reads) and build again; everything that depends on it was skipped.",
        code="dbt-model-failed",
        title="A model could not be built",
        **extensions,
    )


def _known_trouble(node: str, message: str, extensions: dict[str, Any]) -> GtmError | None:
    columns = _mismatched_columns(message)
    if columns:
        return TerminalError(
            f"{node}: columns don't match: {', '.join(columns)}. If a source changed its columns, run a sync and adapt "
            f"the base model; if the model changed, adapt its contract in the yml beside it; then build again.",
            code="dbt-column-mismatch",
            title="Columns of a model do not match",
            columns=columns,
            **extensions,
        )
    refused = _refused_by_snowflake(node, message, extensions)
    if refused is not None:
        return refused
    if _MISSING_OBJECT.search(message):
        return TerminalError(
            f"{node}: {_one_line(message)} Check that a sync has landed data, that SNOWFLAKE_DATABASE is "
            "right, and that SNOWFLAKE_ROLE may read it: `grant usage on database <database> to "
            "role <role>; grant usage on all schemas in database <database> to role <role>; grant select on all tables "
            "in schema raw to role <role>;`.",
            code="warehouse-object-missing",
            title="An object does not exist or is not authorized",
            **extensions,
        )
    if _BUSY.search(message):
        return TransientError(
            f"{node}: the warehouse can't be reached: {_one_line(message)} The build starts over by itself.",
            code="warehouse-busy",
            title="The warehouse can't be reached",
            **extensions,
        )
    return None


def _refused_by_snowflake(node: str, message: str, extensions: dict[str, Any]) -> GtmError | None:
    """By the code that the driver prints; none of DuckDB's messages looks like one."""
    found = find_code(message)
    if found is None or not is_known(*found, message):
        return None
    told = explain_code(*found, message, _SOMEWHERE)
    if told.code in _EXPLAINED_HERE:
        return None
    kind = TransientError if told.is_transient else TerminalError
    return kind(f"{node}: {told.detail}", code=told.code, title=told.title, **told.extensions, **extensions)


def _mismatched_columns(message: str) -> list[str]:
    contract = [f"{name} ({reason})" for name, reason in _CONTRACT_ROW.findall(message)]
    missing = [f"{name} (missing)" for pattern in _MISSING_COLUMNS for name in pattern.findall(message)]
    return list(dict.fromkeys([*contract, *missing]))


def _last_line(said: str) -> str:
    """Of a traceback the last line says what it is."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return _one_line(lines[-1] if lines and "Traceback" in said else said)


def _one_line(message: str) -> str:
    return to_one_line(message).rstrip(". ") + "."
