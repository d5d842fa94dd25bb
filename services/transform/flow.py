"""One build: check that there is something to build from, run dbt, say what it did."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.transform.adapters.build_record import BuildRecord
from services.transform.adapters.coverage import Coverage
from services.transform.adapters.dbt import (
    DbtBuild,
    DbtOutcome,
    publish_docs,
    read_results_of_stopped,
    run_dbt_build,
)
from services.transform.adapters.dbt_spending import count_spending
from services.transform.adapters.findings import require_success, tell_guards
from services.transform.adapters.load_changes import LoadChanges
from services.transform.adapters.marts import (
    drop_leftovers,
    has_loads_table,
    has_raw_tables,
    read_quarantine_counts,
)
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from services.transform.adapters.versions import project_version, tool_versions
from services.transform.adapters.weights_file import read_scoring_weights
from services.transform.domain.build_errors import to_summaries
from services.transform.domain.build_plan import BuildPlan, Remainder, settings_version
from services.transform.domain.run_results import NodeResult, count_by_status
from services.transform.settings import TransformSettings
from shared.contracts import BuildRequest
from shared.errors import GtmError, TerminalError, TransientError
from shared.jobs.context import JobCancelled, JobContext, LeaseLost
from shared.logging import get_logger
from shared.warehouse import Warehouse
from shared.warehouse.engine import RAW_AT
from shared.warehouse.tables import or_hidden

log = get_logger(__name__)


@dataclass(frozen=True)
class _Task:
    """The request, and what it means here and today."""

    plan: BuildPlan
    variables: dict[str, Any]
    weights_version: str
    select: tuple[str, ...]
    remainder: Remainder | None = None
    load: Coverage | None = None

    @property
    def is_full(self) -> bool:
        return not self.select

    @property
    def built(self) -> dict[str, Any]:
        """For the result of a load's build."""
        if self.load is None:
            return {}
        why = {"reason": self.load.reason} if self.load.reason else {}
        return {"built": "everything" if self.is_full else "affected", "loads": len(self.load.loads), **why}


def build_marts(
    job: JobContext, warehouse: Warehouse, settings: TransformSettings, record: BuildRecord
) -> dict[str, Any]:
    """Build and test everything, what the request selects, or what an earlier build left undone. A repeat on the same
    day gives the same marts.

    Returns:
        The job's result: `dbt_run_id, weights_version, nodes` (passed, warned, failed, skipped), `warned_nodes` (the
        first ones), `quarantined` (rows by RAW table; null where the warehouse refuses to count them), and of a retry
        that leaves the marts as if the build that it retries had succeeded, `completes` (the ids of that build and the
        retries between). Of a load's build also `built` (everything, affected or nothing), the `reason` for everything
        or nothing, `loads` (that it took up) and `accounts` (that the load has changed). Each node is in `record`.

    Raises:
        TerminalError: `nothing-landed`, `scoring-weights-invalid`, `dbt-test-failed`, `dbt-model-failed`,
            `dbt-column-mismatch`, `dbt-compile-failed`, `dbt-crashed`, `warehouse-object-missing`,
            `warehouse-login-refused`; of a retry `build-not-retryable`, `build-settings-changed`.
        InvalidRequest: `select` names no node.
        NotFound: `build-not-found`, of a retry.
        TransientError: `warehouse-busy`, `dbt-killed`, `operations-unavailable`.
        JobCancelled, LeaseLost: after dbt was stopped. What it had finished stays; the next build replaces it.
    """
    task = _read_task(job, settings, record)
    _require_raw(warehouse)
    job.report(phase="build", done=0, unit="nodes")
    with warehouse.reserve_core() as environment:
        job.check()  # on Snowflake nothing but the fence tells whose the relations of a running dbt are
        task, changes = _take_up_load(task, job, warehouse, record, environment.get(RAW_AT, ""))
        if changes is not None and not changes.tables:
            return {"built": "nothing", "reason": f"Load {changes.load_id} has changed no row of RAW."}
        drop_leftovers(warehouse)  # of a build whose worker was killed
        ensure_public_suffixes(warehouse)
        if changes is not None:
            changes.remember()
        job.check()
        record.begin(task.plan)
        build = _dbt_build(job, settings, task, environment)
        outcome = _run(job, warehouse, record, build)
        record.complete(outcome.results)
        tell_guards(warehouse, record, outcome)
        require_success(warehouse, outcome, task.select)
        quarantined = read_quarantine_counts(warehouse)
        accounts = {} if changes is None else {"accounts": _publish(changes)}
    if build.has_docs and not publish_docs(build, settings.dbt_docs_path):
        log.warning("docs_not_written", log=str(build.run_dir / "logs"))
    result = {
        "dbt_run_id": outcome.invocation_id,
        "weights_version": task.weights_version,
        "nodes": count_by_status(outcome.results),
        "warned_nodes": to_summaries(outcome.results, "warned"),
        "quarantined": quarantined,
    }
    return task.built | accounts | result | _completes(task, outcome, record)


def _take_up_load(
    task: _Task, job: JobContext, warehouse: Warehouse, record: BuildRecord, raw_at: str
) -> tuple[_Task, LoadChanges | None]:
    """What is to be built for the load that the request names. Asked while the warehouse is reserved: what lands
    meanwhile is in no answer of RAW. Loads are listed after RAW's moment: what has landed by then is among them."""
    if (load_id := job.request.get("load_id")) is None:
        return task, None
    load = record.coverage_of(load_id, task.plan)
    changes = LoadChanges(warehouse, load_id, load.loads, raw_at)
    names = tuple(f"source:raw.{table}+" for table in ("loads", *changes.tables))
    return replace(task, load=load, select=names if load.reason is None else ()), changes


def _publish(changes: LoadChanges) -> int:
    changes.remember()
    return changes.publish()


def _read_task(job: JobContext, settings: TransformSettings, record: BuildRecord) -> _Task:
    request = BuildRequest.model_validate(job.request)
    weights, weights_version = read_scoring_weights(settings.scoring_weights_path)
    variables = {
        "as_of_date": datetime.now(UTC).date().isoformat(),  # told, since dbt's own day may be the next by its start
        **settings.to_variables(),
        "scoring_weights": weights.to_rows(),
        "weights_version": weights_version,
    }
    version = settings_version(variables, tool_versions())
    plan = BuildPlan(job.job_id, version, project_version(settings.dbt_project_dir), request.full_refresh)
    if request.retry_of is None:
        return _Task(plan, variables, weights_version, tuple((request.select or "").split()))
    remainder = record.remainder_of(request.retry_of)
    remainder.require_same_settings(version)
    plan = replace(plan, root_id=remainder.chain[0], full_refresh=remainder.plan.full_refresh)
    return _Task(plan, variables, weights_version, remainder.names, remainder)


def _dbt_build(job: JobContext, settings: TransformSettings, task: _Task, environment: Any) -> DbtBuild:
    return DbtBuild(
        project_dir=settings.dbt_project_dir,
        work_dir=settings.dbt_dir,
        run_name=job.job_id,
        environment={**environment, **settings.to_environment()},
        variables=task.variables,
        threads=settings.dbt_threads,
        memory_limit=settings.duckdb_memory_limit,
        stop_seconds=settings.dbt_stop_seconds,
        select=task.select,
        is_exact=task.remainder is not None,
        full_refresh=task.plan.full_refresh,
        has_docs=task.is_full,
    )


def _run(job: JobContext, warehouse: Warehouse, record: BuildRecord, build: DbtBuild) -> DbtOutcome:
    def on_node(node: NodeResult, done: int, total: int | None) -> None:
        record.note(node)
        if node.status != "running":
            job.report("build", done, total, "nodes")

    def on_tick() -> None:
        record.flush()
        job.check()

    try:
        outcome = run_dbt_build(build, on_node, on_tick)
    except BaseException as end:  # dbt was stopped half-way, for whatever reason
        _clear_away(job, warehouse)
        if isinstance(end, JobCancelled):
            _record_stopped(record, build)
        raise
    finally:
        count_spending(build.run_dir / "target")
    if not outcome.is_complete:
        _clear_away(job, warehouse)
    return outcome


def _clear_away(job: JobContext, warehouse: Warehouse) -> None:
    """Only while the job is still this worker's: else another worker's dbt may be at work. The next build clears away
    too, and why this one ended matters more than what is left."""
    try:
        with suppress(JobCancelled):  # it is held until its end is written
            job.check()
        drop_leftovers(warehouse)
    except (LeaseLost, GtmError, sa.exc.SQLAlchemyError) as error:
        log.warning("leftovers_not_dropped", reason=str(getattr(error, "orig", error)))


def _record_stopped(record: BuildRecord, build: DbtBuild) -> None:
    try:
        record.complete(read_results_of_stopped(build))
    except (LeaseLost, TransientError) as error:  # that the build was cancelled is what matters
        log.warning("nodes_not_written", reason=str(error))


def _require_raw(warehouse: Warehouse) -> None:
    if not has_raw_tables(warehouse):
        detail = "There is no RAW data yet. Start a sync first: POST /v1/syncs, or `gtm sync mock`."
    elif not has_loads_table(warehouse):
        detail = "RAW was landed by an earlier version. Sync once after the upgrade, any source: POST /v1/syncs."
    else:
        return
    detail += or_hidden(warehouse.dialect)
    raise TerminalError(detail, code="nothing-landed", title="Nothing has been landed", status=409)


def _completes(task: _Task, outcome: DbtOutcome, record: BuildRecord) -> dict[str, Any]:
    rest = task.remainder
    if rest is None:
        return {}
    is_disturbed = record.is_disturbed(rest)
    is_made_up = rest.is_made_up_by(outcome.results, task.plan.project_version, is_disturbed=is_disturbed)
    return {"completes": list(rest.chain)} if is_made_up else {}
