"""One build: check that there is something to build from, run dbt, say what it did."""

from typing import Any

from services.transform.adapters.dbt import DbtBuild, DbtOutcome, run_dbt_build
from services.transform.adapters.marts import has_raw_tables, read_failing_rows, read_quarantine_counts
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from services.transform.adapters.weights_file import read_scoring_weights
from services.transform.domain.build_errors import ROWS_SHOWN, explain_failed_node, explain_stopped_dbt
from services.transform.domain.run_results import count_by_status
from services.transform.settings import TransformSettings
from shared.contracts import BuildRequest
from shared.errors import InvalidRequest, TerminalError
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse


def build_marts(job: JobContext, warehouse: Warehouse, settings: TransformSettings) -> dict[str, Any]:
    """Build and test everything, or what the request selects. A repeat on the same day gives the same marts.

    Returns:
        The job's result: `dbt_run_id, weights_version, nodes` (passed, failed, skipped), `node_results` (one per
        node), `quarantined` (rows by RAW table).

    Raises:
        TerminalError: `nothing-landed`, `scoring-weights-invalid`, `dbt-test-failed`, `dbt-model-failed`,
            `dbt-column-mismatch`, `dbt-compile-failed`, `warehouse-object-missing`.
        InvalidRequest: `select` names no node.
        TransientError: `warehouse-busy`, `dbt-killed`.
        JobCancelled, LeaseLost: after dbt was stopped. What it had finished stays; the next build replaces it.
    """
    request = BuildRequest.model_validate(job.request)
    select = _parse_select(request.select)
    weights, weights_version = read_scoring_weights(settings.scoring_weights_path)
    _require_raw(warehouse)
    ensure_public_suffixes(warehouse)
    variables: dict[str, Any] = {"scoring_weights": weights.to_rows(), "weights_version": weights_version}
    if settings.as_of_date is not None:
        variables["as_of_date"] = settings.as_of_date.isoformat()
    job.report(phase="build", done=0, unit="nodes")
    with warehouse.reserve_core() as environment:
        job.check()
        build = DbtBuild(
            project_dir=settings.dbt_project_dir,
            work_dir=settings.dbt_dir,
            run_name=job.job_id,
            environment=environment,
            variables=variables,
            threads=settings.dbt_threads,
            stop_seconds=settings.dbt_stop_seconds,
            select=select,
            full_refresh=request.full_refresh,
        )
        outcome = run_dbt_build(build, lambda done, total: job.report("build", done, total, "nodes"), job.check)
    _require_success(warehouse, outcome, select)
    return {
        "dbt_run_id": outcome.invocation_id,
        "weights_version": weights_version,
        "nodes": count_by_status(outcome.results),
        "node_results": [result.to_dict() for result in outcome.results],
        "quarantined": read_quarantine_counts(warehouse),
    }


def _parse_select(select: str | None) -> tuple[str, ...]:
    parts = tuple((select or "").split())
    for part in parts:
        if part.startswith("-"):
            raise InvalidRequest(f"select: '{part}' is an option, not a node. Name nodes as dbt does: dim_accounts+")
    return parts


def _require_raw(warehouse: Warehouse) -> None:
    if not has_raw_tables(warehouse):
        raise TerminalError(
            "There is no RAW data yet. Start a sync first: POST /v1/syncs, or `gtm sync mock`.",
            code="nothing-landed",
            title="Nothing has been landed",
            status=409,
        )


def _require_success(warehouse: Warehouse, outcome: DbtOutcome, select: tuple[str, ...]) -> None:
    failed = next((result for result in outcome.results if result.status == "failed"), None)
    if failed is not None:
        is_test = failed.kind == "test" and failed.failures and failed.compiled_sql
        rows = read_failing_rows(warehouse, failed.compiled_sql or "", ROWS_SHOWN) if is_test else []
        raise explain_failed_node(outcome.results, rows)
    if outcome.exit_code != 0:
        raise explain_stopped_dbt(outcome.exit_code, outcome.error, outcome.tail)
    if not outcome.results:
        raise InvalidRequest(f"select: no node is called {' '.join(select)}. Names are those of dbt_transform/models.")
