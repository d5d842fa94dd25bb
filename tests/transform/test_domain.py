"""Pure parts: what dbt prints, what went wrong, and the weights file."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from services.transform.domain.build_errors import explain_failed_node, explain_stopped_dbt
from services.transform.domain.run_results import (
    NodeResult,
    count_by_status,
    parse_log_line,
    parse_run_results,
    to_one_line,
)
from services.transform.domain.scoring_weights import ScoringWeights
from shared.contracts import BuildRequest
from tests.transform.builds import REPOSITORY


def _weights() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "config" / "scoring_weights.yml").read_text())
    return loaded


def _failed(message: str, kind: str = "model") -> NodeResult:
    return NodeResult(node="dim_accounts", kind=kind, status="failed", seconds=1, message=message)


def test_log_lines_tell_progress_and_errors() -> None:
    def line(name: str, data: dict[str, Any]) -> str:
        return json.dumps({"info": {"name": name, "invocation_id": "i"}, "data": data})

    total = parse_log_line(line("ConcurrencyLine", {"node_count": 3}))
    assert total is not None and total.total_nodes == 3
    statuses = {"started": "running", "success": "passed", "fail": "failed", "warn": "warned", "skipped": "skipped"}
    for said, status in statuses.items():
        node_info = {"unique_id": "model.fleet_gtm.x", "node_status": said, "node_started_at": "2026-03-01T10:00:00"}
        event = parse_log_line(line("Any", {"node_info": node_info, "execution_time": 0.5}))
        assert event is not None and event.node is not None
        assert (event.node.node, event.node.status, event.node.seconds) == ("x", status, 0.5)
        assert event.node.started_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    summary = parse_log_line(line("Any", {"node_info": {"unique_id": "model.fleet_gtm.x", "node_status": "None"}}))
    assert summary is not None and summary.node is None
    error = parse_log_line(line("MainEncounteredError", {"exc": "Compilation Error"}))
    assert error is not None and error.error == "Compilation Error"
    assert parse_log_line("Traceback (most recent call last):") is None
    assert parse_log_line('{"some": "json"}') is None


def test_run_results_keep_rows_and_failures() -> None:
    document = {
        "results": [
            {
                "unique_id": "model.fleet_gtm.dim_accounts",
                "status": "success",
                "execution_time": 0.5,
                "adapter_response": {"rows_affected": 4},
                "failures": None,
                "message": "SUCCESS 4",
            },
            {
                "unique_id": "test.fleet_gtm.unique_dim_accounts_account_id.abc123",
                "status": "fail",
                "execution_time": 0.1,
                "adapter_response": {"rows_affected": -1},
                "failures": 2,
                "message": "Got 2 results",
                "compiled_code": "select 1",
                "relation_name": '"core"."analytics_failures"."unique_dim_accounts_account_id"',
                "timing": [{"name": "execute", "started_at": "2026-03-01T10:00:00Z", "completed_at": None}],
            },
        ]
    }
    model, test = parse_run_results(document)
    assert (model.node, model.status, model.rows_affected) == ("dim_accounts", "passed", 4)
    assert (test.node, test.status, test.failures) == ("unique_dim_accounts_account_id", "failed", 2)
    assert test.rows_affected is None and test.started_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert (model.rows_in, test.rows_in) == (None, "analytics_failures.unique_dim_accounts_account_id")
    assert (model.line, test.line) == (None, "Got 2 results")
    assert count_by_status([model, test]) == {"passed": 1, "warned": 0, "failed": 1, "skipped": 0}


@pytest.mark.parametrize(
    ("message", "code", "names"),
    [
        (
            "Database Error 002003 (42S02): SQL compilation error: Object 'GTM.RAW.HUBSPOT_DEALS' does not exist or "
            "not authorized.",
            "warehouse-object-missing",
            "SNOWFLAKE_ROLE",
        ),
        ("000904 (42000): SQL compilation error: invalid identifier 'FLEET_SIZE'", "dbt-column-mismatch", "FLEET_SIZE"),
        ("IO Error: Could not set lock on file", "warehouse-busy", "starts over"),
        (
            "003001 (42501): SQL access control error: Insufficient privileges to operate on schema 'RAW'",
            "warehouse-grant-missing",
            "on schema raw to role <role>;",
        ),
        ("000606 (57P03): No active warehouse selected in the current session.", "warehouse-suspended", "auto_resume"),
        ("000630 (57014): Statement reached its statement timeout", "warehouse-statement-timeout", "TIMEOUT_SECONDS"),
        ("000625 (57014): Statement has locked table 'X'", "warehouse-locked", "tried again"),
        ("Compilation Error in model dim_accounts: 'nothing' is undefined", "dbt-compile-failed", "'nothing'"),
        ("Out of Range Error: Overflow", "dbt-model-failed", "dim_accounts"),
    ],
)
def test_failed_models_name_their_mend(message: str, code: str, names: str) -> None:
    error = explain_failed_node([_failed(message)], [])
    assert error.code == code
    assert names in error.detail
    assert error.is_transient == (code in ("warehouse-busy", "warehouse-locked"))


@pytest.mark.parametrize(
    "message",
    [
        "Conversion Error: Could not convert string 'Ann O'Neill +49' to INT32\n\nLINE 1: select 'Ann O''Neill +49'",
        'Conversion Error: Could not convert string "Ann O\'Neill +49" to DECIMAL(9,2)',
        "Conversion Error: Could not convert string 'Ann \"the\" O'Neill' to INT32",
        'Conversion Error: invalid date field format: "Ann +49", expected format is (YYYY-MM-DD)',
        'Conversion Error: invalid timestamp field format: "Ann", expected format is (YYYY-MM-DD HH:MM:SS)',
        'Conversion Error: time field value out of range: "Ann", expected format is (HH:MM:SS)',
        'Invalid Input Error: Could not parse string "Ann" according to format specifier "%Y"\nAnn\n^\nError: Expected',
        'Constraint Error: Duplicate key "name: Ann" violates unique constraint.',
        'Constraint Error: PRIMARY KEY or UNIQUE constraint violation: duplicate key "Ann"',
        'Invalid Input Error: Malformed JSON at byte 21 of input: unexpected end.  Input: "{"name": "Ann", +49"',
        "100040 (22007): Date 'Ann' is not recognized",
        "100035 (22007): Timestamp 'Ann' is not recognized",
        'Failed to cast variant value "Ann" to FIXED',
        "100090 (42P18): Duplicate row detected during DML action Row Values: [1, Ann]",
        'Some Error: "Ann" of ann@x.org',
    ],
)
def test_values_of_the_data_stay_out_of_errors(message: str) -> None:
    problem = explain_failed_node([_failed(f"Runtime Error in model x (models/x.sql)\n  {message}")], []).to_problem()
    assert not [part for part in ("Ann", "ann@", "Neill", "+49") if part in str(problem)], problem


def test_names_of_columns_and_tables_stay_in_errors() -> None:
    said = 'Binder Error: Referenced column "chanel" not found in FROM clause! Candidate bindings: "a", "channel"'
    assert to_one_line(f"{said}\n\nLINE 1: select chanel") == said


@pytest.mark.parametrize(
    ("exit_code", "error", "tail", "code", "said"),
    [
        (2, "Compilation Error\n  Model 'a' depends on a node named 'x'", "", "dbt-compile-failed", "named 'x'"),
        (2, "Parsing Error\n  Error reading x.yml: Syntax error near line 3", "", "dbt-compile-failed", "line 3"),
        (2, "Database Error\n  250001 (08001): Failed to connect to DB", "", "warehouse-busy", "starts over"),
        (2, "IO Error: Could not set lock on file core.duckdb", "", "warehouse-busy", "starts over"),
        (1, "Database Error\n 250001 (08001): Incorrect username or password", "", "warehouse-login-refused", "USER"),
        (1, "Database Error\n 390144 (28000): JWT token is invalid", "", "warehouse-login-refused", "rsa_public_key"),
        (1, "Database Error\n 390189 (08001): Role 'X' is not", "", "warehouse-role-refused", "grant role <role>"),
        (1, "", "Traceback (most recent call last):\n  x\nMemoryError: no more", "dbt-crashed", "MemoryError: no more"),
        (2, "[Errno 28] No space left on device", "", "dbt-crashed", "No space left"),
        (-9, "", "", "dbt-killed", "signal 9"),
    ],
)
def test_dbt_that_did_not_come_to_its_end(exit_code: int, error: str, tail: str, code: str, said: str) -> None:
    explained = explain_stopped_dbt(exit_code, error, tail)
    assert explained.code == code and said in explained.detail
    assert explained.is_transient == (code in ("dbt-killed", "warehouse-busy"))


def test_a_guards_rows_say_what_happened_themselves() -> None:
    guard = NodeResult("assert_fresh", "test", "failed", 1, failures=2, unique_id="test.fleet_gtm.assert_fresh")
    error = explain_failed_node([guard], [{"source": "mock", "message": "mock is stale: sync it."}])
    assert error.detail.startswith("assert_fresh: mock is stale: sync it. (and 1 more like it)")


def test_weights_become_half_open_bands_and_a_fallback() -> None:
    rows = [row for row in ScoringWeights.model_validate(_weights()).to_rows() if row["factor"] == "engaged_contacts"]
    assert [(row["from_value"], row["to_value"], row["is_fallback"]) for row in rows] == [
        ("0", "1", False),
        ("1", "2", False),
        ("2", "4", False),
        ("4", None, False),
        (None, None, True),
    ]
    assert {row["max_points"] for row in rows} == {"2"}


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("fit", "industry", "words", "bananas"), 3, "bananas"),
        (("fit", "fleet_size", "bands"), [{"from": 5, "points": 1}, {"from": 5, "points": 2}], "ascend"),
        (("engagement", "recency", "half_life_days"), 0, "greater than 0"),
        (("fit", "region", "explanation"), "In {place}", "only slot"),
        (("engagement", "visits", "unknown", "points"), 51, "less than or equal to 50"),
        (("fit", "shoe_size"), {}, "shoe_size"),
    ],
)
def test_weights_refuse_what_sql_could_not_use(path: tuple[str, ...], value: Any, complaint: str) -> None:
    weights = _weights()
    *parents, last = path
    part = weights
    for name in parents:
        part = part[name]
    part[last] = value
    with pytest.raises(ValidationError, match=complaint):
        ScoringWeights.model_validate(weights)


@pytest.mark.parametrize("select", ["dim_accounts", "dim_accounts+ tag:x 2+fct_loads", "path:models/marts", None])
def test_select_takes_nodes(select: str | None) -> None:
    assert BuildRequest(select=select).select == select


@pytest.mark.parametrize("select", ["dim_accounts --vars x", "-x", "--full-refresh", "a  -b", " a", "a\n--vars"])
def test_select_takes_no_options(select: str) -> None:
    with pytest.raises(ValidationError, match="is no node, or an option"):
        BuildRequest(select=select)
