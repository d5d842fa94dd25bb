"""What dbt says about a build: its JSON log while it runs, `run_results.json` when it has ended."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

NodeStatus = Literal["running", "passed", "warned", "failed", "skipped"]
ENDED: Final[tuple[NodeStatus, ...]] = ("passed", "warned", "failed", "skipped")

# dbt's status of a node -> ours. `error` is a node that could not run, `fail` a test that found rows.
_STATUS: Final[dict[str, NodeStatus]] = {
    "success": "passed",
    "pass": "passed",
    "no-op": "passed",
    "warn": "warned",
    "error": "failed",
    "fail": "failed",
    "runtime error": "failed",
    "partial success": "failed",
    "skipped": "skipped",
}
_ONE_LINE: Final = 400
# Where a message repeats the data, or the SQL with its literals: nothing from there on is shown.
_REPEATS: Final = re.compile(
    r"\s*(\bLINE \d+:|\bInput: |\baccording to format specifier|\bRow Values: |\bError parsing JSON: ).*", re.S
)
# What is said of values: by DuckDB, and by Snowflake with an SQLSTATE of class 22. A value may hold quotes itself: all
# from the first quote to the last is masked.
_OF_A_VALUE: Final = re.compile(
    r"(Conversion|Invalid Input|Constraint|Out of Range) Error|\(22\w{3}\)|is not recognized|(string|value) ['\"]", re.I
)
_FIRST_TO_LAST_QUOTE: Final = re.compile(r"['\"].*['\"]", re.S)
# Of other messages, names stay: `Referenced column "chanel" not found. Candidate bindings: "channel"`.
_NAMES: Final = r"(?:columns?|named|tables?|bindings:|near|mean) \"[^\"]*\"(?:, \"[^\"]*\")*"
_NAMES_OR_QUOTED: Final = re.compile(rf"({_NAMES})|\"[^\"]*\"", re.I)
_EMAIL: Final = re.compile(r"[^\s'\"<>()]+@[^\s'\"<>()]+")


@dataclass(frozen=True)
class NodeResult:
    """What one node (a model, a test) did.

    `failures` is the number of rows that a test found, `seconds` the node's run time, `rows_in` the relation that keeps
    the rows that a test found, as `schema.name`, `tested` the names of the models that a failed test looks at.
    """

    node: str
    kind: str
    status: NodeStatus
    seconds: float | None = None
    rows_affected: int | None = None
    failures: int | None = None
    message: str | None = None
    unique_id: str = ""
    rows_in: str | None = None
    tested: tuple[str, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    compiled_sql: str | None = field(default=None, repr=False)

    @property
    def line(self) -> str | None:
        """The message on one line, without values of the data; None for one that went well, whose message says no more
        than that."""
        return to_one_line(self.message or "") or None if self.status != "passed" else None

    @property
    def is_guard(self) -> bool:
        """A test written by hand: generic ones carry a hash after their name."""
        return self.kind == "test" and self.unique_id.count(".") == 2

    def to_summary(self) -> dict[str, Any]:
        """For the job's result or error."""
        return {"node": self.node, "message": self.line} | ({"failures": self.failures} if self.failures else {})


@dataclass(frozen=True)
class LogEvent:
    """The parts of a line of dbt's JSON log that a build follows; None where the line doesn't say."""

    invocation_id: str
    total_nodes: int | None = None
    node: NodeResult | None = None
    error: str | None = None


def to_one_line(message: str) -> str:
    """The start of dbt's message: without values of the data, which may be personal, and without macro traces."""
    text = " ".join(_REPEATS.sub("", message.split("\n  >")[0]).split())
    if _OF_A_VALUE.search(text):
        text = _FIRST_TO_LAST_QUOTE.sub("'…'", text)
    else:
        text = _NAMES_OR_QUOTED.sub(lambda found: found[1] or '"…"', text)
    text = _EMAIL.sub("…", text)
    return text[:_ONE_LINE] + "…" if len(text) > _ONE_LINE else text


def parse_log_line(line: str) -> LogEvent | None:
    """None for a line that isn't one of dbt's events, such as a traceback's."""
    try:
        event = json.loads(line)
        info, data = event["info"], event["data"]
    except (ValueError, KeyError, TypeError):
        return None
    return LogEvent(
        invocation_id=info.get("invocation_id", ""),
        total_nodes=data.get("node_count") if info.get("name") == "ConcurrencyLine" else None,
        node=_parse_node_info(data),
        error=data.get("exc") if info.get("name") == "MainEncounteredError" else None,
    )


def parse_run_results(document: Mapping[str, Any]) -> list[NodeResult]:
    """The nodes of `run_results.json` (schema v6), in the order in which they ended."""
    return [_parse_result(result) for result in document["results"]]


def with_tested_models(results: Iterable[NodeResult], manifest: Mapping[str, Any]) -> list[NodeResult]:
    """The results, with the models that each failed test looks at, out of `manifest.json`."""
    return [
        replace(result, tested=_tested(manifest, result.unique_id)) if _is_failed_test(result) else result
        for result in results
    ]


def has_failed_tests(results: Iterable[NodeResult]) -> bool:
    return any(map(_is_failed_test, results))


def _is_failed_test(result: NodeResult) -> bool:
    return result.kind == "test" and result.status == "failed"


def _tested(manifest: Mapping[str, Any], unique_id: str) -> tuple[str, ...]:
    """What is built and looked at; a source is not built."""
    node = manifest["nodes"].get(unique_id) or {}
    looked_at = (node.get("depends_on") or {}).get("nodes") or []
    parents = map(_kind_and_name, looked_at)
    return tuple(sorted({name for kind, name in parents if kind in ("model", "snapshot", "seed")}))


def count_by_status(results: Iterable[NodeResult]) -> dict[NodeStatus, int]:
    """`{passed, warned, failed, skipped}`, zeros included."""
    counts: dict[NodeStatus, int] = dict.fromkeys(ENDED, 0)
    for result in results:
        counts[result.status] += 1
    return counts


def _parse_node_info(data: Mapping[str, Any]) -> NodeResult | None:
    """A node that starts or has ended. Lines of dbt's summary name nodes too, without a status."""
    node = data.get("node_info") or {}
    said = node.get("node_status")
    status: NodeStatus | None = "running" if said == "started" else _STATUS.get(str(said))
    unique_id = node.get("unique_id")
    if status is None or not unique_id:
        return None
    kind, name = _kind_and_name(unique_id)
    return NodeResult(
        node=name,
        kind=kind,
        status=status,
        seconds=data.get("execution_time"),
        failures=data.get("num_failures") or None,
        unique_id=unique_id,
        started_at=_parse_moment(node.get("node_started_at")),
        ended_at=_parse_moment(node.get("node_finished_at")),
    )


def _parse_result(result: Mapping[str, Any]) -> NodeResult:
    kind, name = _kind_and_name(result["unique_id"])
    rows = (result.get("adapter_response") or {}).get("rows_affected")
    moments = [timing for timing in result.get("timing") or [] if timing.get("started_at")]
    failures = result.get("failures")
    status = _STATUS[result["status"]]
    has_rows = kind == "test" and failures and status in ("failed", "warned")
    return NodeResult(
        node=name,
        kind=kind,
        status=status,
        seconds=float(result["execution_time"] or 0),
        rows_affected=rows if isinstance(rows, int) and rows >= 0 else None,
        failures=failures,
        message=result.get("message"),
        unique_id=result["unique_id"],
        rows_in=_relation(result.get("relation_name")) if has_rows else None,
        started_at=_parse_moment(moments[0]["started_at"]) if moments else None,
        ended_at=_parse_moment(moments[-1].get("completed_at")) if moments else None,
        compiled_sql=result.get("compiled_code"),
    )


def _kind_and_name(unique_id: str) -> tuple[str, str]:
    """`test.fleet_gtm.unique_dim_accounts_account_id.abc123`: what follows a generic test's name is a hash."""
    kind, _, *name = unique_id.split(".")
    return kind, name[0]


def _relation(name: str | None) -> str | None:
    """Without the database: every connection of ours has the right one, under a name of its own on DuckDB."""
    return ".".join(name.replace('"', "").split(".")[-2:]) if name else None


def _parse_moment(text: str | None) -> datetime | None:
    """dbt's times are UTC, with or without saying so."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
