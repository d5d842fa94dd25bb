"""Who is to be scored: read from the warehouse in pages of ids, each by one query, whatever the number of accounts.

A place in the plan is (baseline score, account_id) of the last account seen, so nothing has to be kept between two
pages: a resumed job plans anew, without what it has written, and a million accounts need no more memory than a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa

from services.scoring.adapters.marts import has_load_accounts, require_marts
from services.scoring.adapters.outbound_tables import SCHEMA, lead_scores, present_columns, read_table_names
from services.scoring.domain.written_off import WRITTEN_OFF
from shared.contracts import AccountScope, LoadScope
from shared.warehouse import Warehouse, in_values, to_parameter

PAGE_ACCOUNTS: Final = 5_000
_COUNTED: Final = ("unchanged", "refreshed", "stale", "done")
_DECIDING: Final = (
    "account_id",
    "job_id",
    "profile_hash",
    "prompt_version",
    "model_digest",
    "rules_version",
    "score_bound",
    "facts_hash",
    "mart_updated_at",
    "refresh_job_id",
)


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
    score_bound: int


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
    """Counts in accounts: `candidates` = `unchanged` + `refreshed` + `stale` + `done` + `open`; `first` is the first
    page of the open ones.

    `stale` ones have other facts under the same question, which needs no answer (`refreshes.py`). `done` and
    `refreshed` were dealt with by an earlier attempt of the same job; `missing` were asked for and are in no mart;
    `left` are a load's accounts below the limit (None for other scopes).
    """

    candidates: int = 0
    unchanged: int = 0
    refreshed: int = 0
    stale: int = 0
    done: int = 0
    missing: int = 0
    left: int | None = None
    first: list[PlannedAccount] = field(default_factory=list)
    page: int = PAGE_ACCOUNTS

    @property
    def open(self) -> int:
        """Accounts to ask about."""
        return self.candidates - self.unchanged - self.refreshed - self.stale - self.done

    def resume(self, dealt_with: int) -> "ScoringPlan":
        """With all accounts that earlier attempts have dealt with, those that are out of scope by now too."""
        return replace(self, candidates=self.candidates + dealt_with - self.done, done=dealt_with)


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
                select count(*) as candidates, {_counts_sql()}, (select count(*) from scope) as found from judged
            ),
            open_ones as ({_page_sql("open", "1 = 1", page)})
            select counts.*, open_ones.account_id, open_ones.baseline_score
            from counts left join open_ones on 1 = 1
            order by open_ones.baseline_score desc, open_ones.account_id"""
        rows = _run(connection, query, sql)
    counts = rows[0]  # one row at least: the counts stand even where no account is open
    found, candidates = int(counts.found), int(counts.candidates)
    return ScoringPlan(
        candidates=candidates,
        **{name: int(getattr(counts, name)) for name in _COUNTED},
        missing=0 if query.wanted is None else len(query.wanted) - found,
        left=found - candidates if isinstance(query.scope, LoadScope) else None,
        first=[_to_planned(row) for row in rows if row.account_id is not None],
        page=page,
    )


def read_page(
    warehouse: Warehouse,
    query: PlanQuery,
    after: PlannedAccount | None,
    page: int,
    standing: Literal["open", "stale"] = "open",
) -> list[PlannedAccount]:
    """The accounts that follow `after` (None: the first); fewer than `page`: there are no more."""
    place = "(baseline_score < :after_score or (baseline_score = :after_score and account_id > :after_id))"
    bound = {"after_score": after.baseline_score, "after_id": after.account_id} if after else {}
    with warehouse.core_beside_outbound() as connection:
        sql = f"{_judged_sql(query, connection)} {_page_sql(standing, place if after else '1 = 1', page)}"
        return [_to_planned(row) for row in _run(connection, query, sql, bound)]


def read_open(warehouse: Warehouse, query: PlanQuery, account_ids: Sequence[str]) -> list[PlannedAccount]:
    """Those of these accounts that are still open."""
    if not account_ids:
        return []
    with warehouse.core_beside_outbound() as connection:
        named = in_values(connection, "account_id", "named")
        sql = f"{_judged_sql(query, connection)} {_page_sql('open', named, len(account_ids))}"
        return [_to_planned(row) for row in _run(connection, query, sql, {"named": to_parameter(account_ids)})]


def _judged_sql(query: PlanQuery, connection: sa.Connection) -> str:
    """`with ... judged as (...)`: the candidates, each with its standing, one of `_COUNTED` or `open`."""
    has_leads = {"lead_scores", "score_rejects"} <= read_table_names(connection, SCHEMA)
    judged = "candidates.*, 'open' as standing from candidates"
    if has_leads:
        judged = f"""candidates.*, case
                when leads.job_id = :job_id or written_off.account_id is not null then 'done'
                when :force = 1 or leads.account_id is null or leads.profile_hash <> candidates.profile_hash
                    or leads.prompt_version <> :prompt_version or leads.model_digest <> :model_digest
                    or leads.rules_version <> :rules_version or coalesce(leads.score_bound, -1) <> :score_bound
                    then 'open'
                when coalesce(leads.facts_hash, '') <> candidates.facts_hash
                    and leads.mart_updated_at <= candidates.dbt_updated_at then 'stale'
                when leads.refresh_job_id = :job_id then 'refreshed'
                else 'unchanged' end as standing
            from candidates left join ({_leads_sql(connection)}) as leads on leads.account_id = candidates.account_id
            left join (
                select distinct account_id from {SCHEMA}.score_rejects
                where job_id = :job_id and reason_code = :written_off
            ) as written_off on written_off.account_id = candidates.account_id"""
    condition = _condition(query, connection, has_leads)
    top = f"order by baseline_score desc, account_id limit {int(query.limit)}" if query.limit is not None else ""
    return f"""
        with scope as (
            select account_id, baseline_score, profile_hash, facts_hash, dbt_updated_at
            from analytics.dim_accounts where {condition}
        ),
        candidates as (select * from scope {top}),
        judged as (select {judged})"""


def _leads_sql(connection: sa.Connection) -> str:
    """What decides a lead's standing, of an earlier release's table too."""
    columns = [column for column in present_columns(connection, lead_scores) if column.name in _DECIDING]
    return str(sa.select(*columns).compile(dialect=connection.dialect))


def _counts_sql() -> str:
    counts = (f"coalesce(sum(case when standing = '{one}' then 1 end), 0) as {one}" for one in _COUNTED)
    return ", ".join(counts)


def _page_sql(standing: str, condition: str, most: int) -> str:
    return f"""select account_id, baseline_score from judged where standing = '{standing}' and {condition}
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
