"""Who is to be scored: read from the warehouse in pages of ids, each by one query, whatever the number of accounts.

A place in the plan is (baseline score, account_id) of the last account seen, so nothing has to be kept between two
pages: a resumed job plans anew, without what it has written, and a million accounts need no more memory than a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa

from services.scoring.adapters.marts import has_load_accounts, require_marts
from services.scoring.adapters.outbound_tables import SCHEMA, read_table_names
from services.scoring.domain.written_off import WRITTEN_OFF
from shared.contracts import AccountScope, LoadScope
from shared.warehouse import Warehouse, in_values, to_parameter

PAGE_ACCOUNTS: Final = 5_000


class PlannedAccount(NamedTuple):
    """An account's id, and with its baseline its place: best baseline first, equal ones by id."""

    account_id: str
    baseline_score: int


@dataclass(frozen=True)
class QuestionVersion:
    """What, beside the account itself, decides whether its question has been asked before."""

    prompt_version: str
    model_digest: str
    rules_version: str


@dataclass(frozen=True)
class PlanQuery:
    """What a scoring asks the marts for.

    `scope`: every active prospect; these accounts, active prospects or not; or those that a load has changed and that
    are active prospects or have a lead. `limit`: top of the ranking, taken before unchanged ones are left out, so a
    repeat does no more work. `force`: unchanged ones too, but never those that this job has dealt with already.
    """

    version: QuestionVersion
    job_id: str
    scope: Literal["all"] | AccountScope | LoadScope = "all"
    limit: int | None = None
    force: bool = False

    @property
    def wanted(self) -> list[str] | None:
        """The accounts that the scope names."""
        return sorted(set(self.scope.account_ids)) if isinstance(self.scope, AccountScope) else None


@dataclass(frozen=True)
class ScoringPlan:
    """Counts in accounts: `candidates` = `unchanged` + `done` + `open`; `first` is the first page of the open ones.

    `done` were dealt with by an earlier attempt of the same job; `missing` were asked for and are in no mart; `left`
    are a load's accounts below the limit (None for other scopes).
    """

    candidates: int = 0
    unchanged: int = 0
    done: int = 0
    missing: int = 0
    left: int | None = None
    first: list[PlannedAccount] = field(default_factory=list)
    page: int = PAGE_ACCOUNTS

    @property
    def open(self) -> int:
        """Accounts to ask about."""
        return self.candidates - self.unchanged - self.done


def read_plan(warehouse: Warehouse, query: PlanQuery, *, page: int = PAGE_ACCOUNTS) -> ScoringPlan:
    """The counts and the first page, in one query.

    Raises:
        TerminalError: `marts-missing`.
    """
    with warehouse.core_beside_outbound() as connection:
        require_marts(connection)
        if isinstance(query.scope, LoadScope) and not has_load_accounts(connection):
            return ScoringPlan(left=0)
        sql = f"""{_judged_sql(query, connection)},
            counts as (
                select count(*) as candidates, coalesce(sum(is_unchanged), 0) as unchanged,
                    coalesce(sum(is_done), 0) as done, (select count(*) from scope) as found
                from judged
            ),
            open_ones as ({_open_sql("1 = 1", page)})
            select counts.candidates, counts.unchanged, counts.done, counts.found,
                open_ones.account_id, open_ones.baseline_score
            from counts left join open_ones on 1 = 1
            order by open_ones.baseline_score desc, open_ones.account_id"""
        rows = _run(connection, query, sql)
    counts = rows[0]  # one row at least: the counts stand even where no account is open
    found, candidates = int(counts.found), int(counts.candidates)
    return ScoringPlan(
        candidates=candidates,
        unchanged=int(counts.unchanged),
        done=int(counts.done),
        missing=0 if query.wanted is None else len(query.wanted) - found,
        left=found - candidates if isinstance(query.scope, LoadScope) else None,
        first=[_to_planned(row) for row in rows if row.account_id is not None],
        page=page,
    )


def read_page(warehouse: Warehouse, query: PlanQuery, after: PlannedAccount, page: int) -> list[PlannedAccount]:
    """The open accounts that follow `after`; fewer than `page`: there are no more."""
    place = "(baseline_score < :after_score or (baseline_score = :after_score and account_id > :after_id))"
    bound = {"after_score": after.baseline_score, "after_id": after.account_id}
    with warehouse.core_beside_outbound() as connection:
        sql = f"{_judged_sql(query, connection)} {_open_sql(place, page)}"
        return [_to_planned(row) for row in _run(connection, query, sql, bound)]


def read_open(warehouse: Warehouse, query: PlanQuery, account_ids: Sequence[str]) -> list[PlannedAccount]:
    """Those of these accounts that are still open."""
    if not account_ids:
        return []
    with warehouse.core_beside_outbound() as connection:
        named = in_values(connection, "account_id", "named")
        sql = f"{_judged_sql(query, connection)} {_open_sql(named, len(account_ids))}"
        return [_to_planned(row) for row in _run(connection, query, sql, {"named": to_parameter(account_ids)})]


def _judged_sql(query: PlanQuery, connection: sa.Connection) -> str:
    """`with ... judged as (...)`: the candidates, each with whether it is done or unchanged."""
    has_leads = {"lead_scores", "score_rejects"} <= read_table_names(connection, SCHEMA)
    judged = "candidates.*, 0 as is_done, 0 as is_unchanged from candidates"
    if has_leads:
        judged = f"""candidates.*,
            case when leads.job_id = :job_id or written_off.account_id is not null then 1 else 0 end as is_done,
            case when :force = 0 and leads.job_id <> :job_id and written_off.account_id is null
                and leads.profile_hash = candidates.profile_hash and leads.prompt_version = :prompt_version
                and leads.model_digest = :model_digest and leads.rules_version = :rules_version
                then 1 else 0 end as is_unchanged
            from candidates left join {SCHEMA}.lead_scores as leads on leads.account_id = candidates.account_id
            left join (
                select distinct account_id from {SCHEMA}.score_rejects
                where job_id = :job_id and reason_code = :written_off
            ) as written_off on written_off.account_id = candidates.account_id"""
    condition = _condition(query, connection, has_leads)
    top = f"order by baseline_score desc, account_id limit {int(query.limit)}" if query.limit is not None else ""
    return f"""
        with scope as (select account_id, baseline_score, profile_hash from analytics.dim_accounts where {condition}),
        candidates as (select * from scope {top}),
        judged as (select {judged})"""


def _open_sql(condition: str, most: int) -> str:
    return f"""select account_id, baseline_score from judged where is_done = 0 and is_unchanged = 0 and {condition}
        order by baseline_score desc, account_id limit {int(most)}"""


def _condition(query: PlanQuery, connection: sa.Connection, has_leads: bool) -> str:
    if isinstance(query.scope, AccountScope):
        return in_values(connection, "account_id", "wanted")
    if query.scope == "all":
        return "is_active_prospect"
    or_lead = f" or account_id in (select account_id from {SCHEMA}.lead_scores)" if has_leads else ""
    changed = "select account_id from analytics.load_accounts where load_id = :load_id"
    return f"account_id in ({changed}) and (is_active_prospect{or_lead})"


def _run(
    connection: sa.Connection, query: PlanQuery, sql: str, bound: dict[str, Any] | None = None
) -> Sequence[sa.Row[Any]]:
    """With those of the query's parameters that the statement names."""
    load_id = query.scope.load_id if isinstance(query.scope, LoadScope) else None
    known: dict[str, Any] = {
        **vars(query.version),
        "job_id": query.job_id,
        "force": int(query.force),
        "written_off": WRITTEN_OFF,
        "wanted": to_parameter(query.wanted or []),
        "load_id": load_id,
        **(bound or {}),
    }
    named = {name: value for name, value in known.items() if f":{name}" in sql}
    return connection.execute(sa.text(sql), named).all()


def _to_planned(row: sa.Row[Any]) -> PlannedAccount:
    return PlannedAccount(row.account_id, int(row.baseline_score))
