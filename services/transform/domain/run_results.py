"""What dbt says about a build: its JSON log while it runs, `run_results.json` when it has ended."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

NodeStatus = Literal["passed", "failed", "skipped"]

# dbt's status of a node -> ours. `error` is a node that could not run, `fail` a test that found rows.
_STATUS: Final[dict[str, NodeStatus]] = {
    "success": "passed",
    "pass": "passed",
    "warn": "passed",
    "no-op": "passed",
    "error": "failed",
    "fail": "failed",
    "runtime error": "failed",
    "partial success": "failed",
    "skipped": "skipped",
}
_ONE_LINE: Final = 400
_QUOTED_VALUE: Final = re.compile(r"(string|value) '[^']*'", re.I)


@dataclass(frozen=True)
class NodeResult:
    """What one node (a model, a test) did. `failures` is a failing test's number of rows, `seconds` its run time."""

    node: str
    kind: str
    status: NodeStatus
    seconds: float
    rows_affected: int | None = None
    failures: int | None = None
    message: str | None = None
    unique_id: str = ""
    compiled_sql: str | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For the job's result: without the SQL; the message on one line, without values of the data."""
        kept = {key: value for key, value in asdict(self).items() if key not in ("compiled_sql", "unique_id")}
        return {**kept, "seconds": round(self.seconds, 3), "message": to_one_line(self.message or "") or None}


@dataclass(frozen=True)
class LogEvent:
    """The parts of a line of dbt's JSON log that a build follows; None where the line doesn't say."""

    invocation_id: str
    total_nodes: int | None = None
    finished_node: str | None = None
    error: str | None = None


def to_one_line(message: str) -> str:
    """The start of dbt's message: without values of the data, which may be personal, and without macro traces."""
    text = _QUOTED_VALUE.sub(r"\1 '…'", " ".join(message.split("\n  >")[0].split()))
    return text[:_ONE_LINE] + "…" if len(text) > _ONE_LINE else text


def parse_log_line(line: str) -> LogEvent | None:
    """None for a line that isn't one of dbt's events, such as a traceback's."""
    try:
        event = json.loads(line)
        info, data = event["info"], event["data"]
    except (ValueError, KeyError, TypeError):
        return None
    node = data.get("node_info") or {}
    is_finished = node.get("node_status") in _STATUS
    return LogEvent(
        invocation_id=info.get("invocation_id", ""),
        total_nodes=data.get("node_count") if info.get("name") == "ConcurrencyLine" else None,
        finished_node=node.get("unique_id") if is_finished else None,
        error=data.get("exc") if info.get("name") == "MainEncounteredError" else None,
    )


def parse_run_results(document: Mapping[str, Any]) -> list[NodeResult]:
    """The nodes of `run_results.json` (schema v6), in the order in which they ended."""
    return [_parse_result(result) for result in document["results"]]


def count_by_status(results: Iterable[NodeResult]) -> dict[NodeStatus, int]:
    """`{passed, failed, skipped}`, zeros included."""
    counts: dict[NodeStatus, int] = {"passed": 0, "failed": 0, "skipped": 0}
    for result in results:
        counts[result.status] += 1
    return counts


def _parse_result(result: Mapping[str, Any]) -> NodeResult:
    kind, _, *name = result["unique_id"].split(".")
    rows = (result.get("adapter_response") or {}).get("rows_affected")
    return NodeResult(
        node=name[0],  # what follows a generic test's name is a hash
        kind=kind,
        status=_STATUS[result["status"]],
        seconds=float(result["execution_time"] or 0),
        rows_affected=rows if isinstance(rows, int) and rows >= 0 else None,
        failures=result.get("failures"),
        message=result.get("message"),
        unique_id=result["unique_id"],
        compiled_sql=result.get("compiled_code"),
    )
