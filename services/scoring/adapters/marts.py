"""Reads ANALYTICS: who is to be scored, and what the model may know about them (docs/contracts.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from services.scoring.adapters.outbound_tables import SCHEMA, read_table_names
from services.scoring.domain.profile import FIELDS, AccountProfile, Factor, parse_values
from shared.contracts import AccountScope, LoadScope
from shared.errors import TerminalError
from shared.warehouse import Warehouse


@dataclass(frozen=True)
class QuestionVersion:
    """What, beside the account itself, decides whether its question has been asked before."""

    prompt_version: str
    model_digest: str
    rules_version: str


@dataclass(frozen=True)
class ScoringPlan:
    """Counts in accounts: `candidates` = `unchanged` + `done` + len(`account_ids`).

    `done` were written by an earlier attempt of the same job; `missing` were asked for and are in no mart; `left` are a
    load's accounts below the limit (None for other scopes).
    """

    candidates: int = 0
    unchanged: int = 0
    done: int = 0
    missing: int = 0
    left: int | None = None
    account_ids: list[str] = field(default_factory=list)


def read_plan(
    warehouse: Warehouse,
    version: QuestionVersion,
    job_id: str,
    *,
    scope: Literal["all"] | AccountScope | LoadScope = "all",
    limit: int | None = None,
    force: bool = False,
) -> ScoringPlan:
    """Whom to ask about, best baseline first; one query, whatever the number of accounts.

    Args:
        scope: Every active prospect; these accounts, active prospects or not; or those that a load has changed and that
            are active prospects or have a lead.
        limit: Top of the ranking, taken before unchanged ones are left out: a repeat does no more work.
        force: Unchanged ones too, but never those that this job has written already.

    Raises:
        TerminalError: `marts-missing`.
    """
    wanted = sorted(set(scope.account_ids)) if isinstance(scope, AccountScope) else None
    with warehouse.core_beside_outbound() as connection:
        _require_marts(connection)
        has_leads = "lead_scores" in read_table_names(connection, SCHEMA)
        if isinstance(scope, LoadScope) and not _has_load_accounts(connection):
            return ScoringPlan(left=0)
        statement = sa.text(_plan_sql(has_leads, _condition(scope, has_leads), limit))
        parameters: dict[str, Any] = {**vars(version), "job_id": job_id, "force": int(force)} if has_leads else {}
        if isinstance(scope, AccountScope):
            statement = statement.bindparams(sa.bindparam("wanted", expanding=True))
            parameters["wanted"] = wanted
        elif isinstance(scope, LoadScope):
            parameters["load_id"] = scope.load_id
        rows = connection.execute(statement, parameters).all()
    if not rows:
        return ScoringPlan(missing=len(wanted or ()))
    ids = [row.account_id for row in rows if row.account_id is not None]
    first = rows[0]
    missing = 0 if wanted is None else len(wanted) - int(first.found)
    left = int(first.found) - int(first.candidates) if isinstance(scope, LoadScope) else None
    return ScoringPlan(int(first.candidates), int(first.unchanged), int(first.done), missing, left, ids)


def count_load_accounts(warehouse: Warehouse, load_id: str) -> int:
    """Accounts that the load has changed, as the build with its `load_id` found them; 0 where there was none."""
    with warehouse.core() as connection:
        if not _has_load_accounts(connection):
            return 0
        query = "select count(*) from analytics.load_accounts where load_id = :load_id"
        return int(connection.execute(sa.text(query), {"load_id": load_id}).scalar_one())


def _has_load_accounts(connection: sa.Connection) -> bool:
    return "load_accounts" in read_table_names(connection, "analytics")


def _condition(scope: Literal["all"] | AccountScope | LoadScope, has_leads: bool) -> str:
    if isinstance(scope, AccountScope):
        return "account_id in :wanted"
    if scope == "all":
        return "is_active_prospect"
    or_lead = f" or account_id in (select account_id from {SCHEMA}.lead_scores)" if has_leads else ""
    changed = "select account_id from analytics.load_accounts where load_id = :load_id"
    return f"account_id in ({changed}) and (is_active_prospect{or_lead})"


def _plan_sql(has_leads: bool, condition: str, limit: int | None) -> str:
    judged = "candidates.*, 0 as is_done, 0 as is_unchanged from candidates"
    if has_leads:
        judged = f"""candidates.*,
            case when leads.job_id = :job_id then 1 else 0 end as is_done,
            case when :force = 0 and leads.job_id <> :job_id and leads.profile_hash = candidates.profile_hash
                and leads.prompt_version = :prompt_version and leads.model_digest = :model_digest
                and leads.rules_version = :rules_version then 1 else 0 end as is_unchanged
            from candidates left join {SCHEMA}.lead_scores as leads on leads.account_id = candidates.account_id"""
    top = f"order by baseline_score desc, account_id limit {int(limit)}" if limit is not None else ""
    return f"""
        with scope as (select account_id, baseline_score, profile_hash from analytics.dim_accounts where {condition}),
        candidates as (select * from scope {top}),
        judged as (select {judged}),
        counts as (
            select count(*) as candidates, coalesce(sum(is_unchanged), 0) as unchanged,
                coalesce(sum(is_done), 0) as done, (select count(*) from scope) as found
            from judged
        ),
        open_ones as (select account_id, baseline_score from judged where is_done = 0 and is_unchanged = 0)
        select counts.candidates, counts.unchanged, counts.done, counts.found, open_ones.account_id
        from counts left join open_ones on 1 = 1
        order by open_ones.baseline_score desc, open_ones.account_id"""


def read_accounts(warehouse: Warehouse, account_ids: Sequence[str]) -> list[AccountProfile]:
    """Profiles with their factors, in the order asked for; an id without a mart row is left out.

    Raises:
        TerminalError: `marts-missing`.
    """
    if not account_ids:
        return []
    columns = ", ".join(FIELDS)
    wanted = {"wanted": list(account_ids)}
    with warehouse.core() as connection:
        _require_marts(connection)
        accounts = connection.execute(
            _among(
                f"select account_id, account_name, domain, {columns}, baseline_score, fit_score, engagement_score,"
                " profile_hash, weights_version, is_active_prospect, dbt_run_id, dbt_updated_at"
                " from analytics.dim_accounts where account_id in :wanted"
            ),
            wanted,
        ).mappings()
        by_id = {row["account_id"]: row for row in accounts}
        factors: dict[str, list[Factor]] = {}
        for row in connection.execute(
            _among(
                "select account_id, factor, component, value, points, max_points, explanation"
                " from analytics.fct_account_score_factors where account_id in :wanted order by account_id, factor"
            ),
            wanted,
        ):
            factors.setdefault(row.account_id, []).append(Factor(*row[1:]))
    return [_to_profile(by_id[name], factors.get(name, [])) for name in account_ids if name in by_id]


def _to_profile(row: sa.RowMapping, factors: list[Factor]) -> AccountProfile:
    return AccountProfile(
        account_id=row["account_id"],
        account_name=row["account_name"] or "",
        domain=row["domain"],
        values=parse_values(dict(row)),
        baseline_score=int(row["baseline_score"]),
        fit_score=int(row["fit_score"]),
        engagement_score=int(row["engagement_score"]),
        profile_hash=row["profile_hash"],
        dbt_run_id=row["dbt_run_id"],
        mart_updated_at=row["dbt_updated_at"],
        factors=tuple(factors),
        weights_version=row["weights_version"],
        inactive_reason=None if row["is_active_prospect"] else "customer",
    )


def _among(sql: str) -> sa.TextClause:
    return sa.text(sql).bindparams(sa.bindparam("wanted", expanding=True))


def _require_marts(connection: sa.Connection) -> None:
    missing = {"dim_accounts", "fct_account_score_factors"} - read_table_names(connection, "analytics")
    if missing:
        raise TerminalError(
            f"analytics.{', analytics.'.join(sorted(missing))} not found: no build has made the marts yet. "
            "Start a build first (POST /v1/builds, or `gtm build`), then score again.",
            code="marts-missing",
            title="The marts do not exist yet",
            status=409,
        )
