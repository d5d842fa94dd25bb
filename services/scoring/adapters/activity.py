"""Leads whose account is no active prospect any more: kept as they are, and marked; unmarked when it is one again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from services.scoring.adapters.outbound_tables import (
    create_outbound_tables,
    lead_score_history,
    lead_scores,
    present_columns,
    read_table_names,
)
from services.scoring.domain.history import add_history, to_history_row, to_shown_change
from shared.warehouse import Warehouse, in_values, merge_staged, stage_rows, to_parameter

_AT_ONCE: Final = 2_000  # leads in memory
TELLS_MORE: Final = "stored.changed <> offered.changed or stored.tier <> offered.tier"
"""Of a row of history that its job has written already."""
_IS_OTHER: Final = "coalesce(stored.inactive_reason, '') <> coalesce(offered.inactive_reason, '')"


@dataclass
class ActivityChanges:
    """Leads marked and unmarked; `shown` lists what a dry run would have changed."""

    deactivated: int = 0
    reactivated: int = 0
    shown: list[dict[str, Any]] = field(default_factory=list)


def settle_activity(
    warehouse: Warehouse,
    job_id: str,
    moment: datetime,
    account_ids: Sequence[str] | None = None,
    *,
    before_commit: Callable[[], None],
    most_shown: int | None = None,
) -> ActivityChanges:
    """Compare every lead (or those of `account_ids`) with `analytics.dim_accounts`, in one query, and mark those that
    differ, each with a row of history. A repeat changes nothing.

    Neither the score nor `job_id` of a lead changes: nobody scored it.

    Args:
        moment: Naive UTC, of the history.
        before_commit: Called last inside each transaction; what it raises rolls that one back.
        most_shown: A dry run: write nothing and show at most so many.
    """
    changes = ActivityChanges()
    wanted = _read_changed(warehouse, account_ids)
    if not wanted:
        return changes
    changes.deactivated = sum(reason is not None for reason in wanted.values())
    changes.reactivated = len(wanted) - changes.deactivated
    if most_shown is not None:
        shown = _read_pairs(warehouse, sorted(wanted)[:most_shown], wanted)
        changes.shown = [change for pair in shown if (change := to_shown_change(*pair)) is not None]
        return changes
    if wanted:  # columns of this release; in a transaction of their own, since DuckDB wants it so
        with warehouse.outbound(write=True) as connection:
            create_outbound_tables(connection)
    for ids in _chunks(sorted(wanted)):
        _mark(warehouse, ids, wanted, (job_id, moment), before_commit)
    return changes


def _read_changed(warehouse: Warehouse, account_ids: Sequence[str] | None) -> dict[str, str | None]:
    """Account -> why its lead is inactive now (None: it is active), where the lead says otherwise."""
    with warehouse.core_beside_outbound() as connection:
        stored = {column.name: column for column in present_columns(connection, lead_scores)}
        if not stored or "dim_accounts" not in read_table_names(connection, "analytics"):
            return {}
        among = "" if account_ids is None else " where account_id in :wanted"
        leads = sa.select(stored["account_id"], stored["inactive_reason"]).compile(dialect=connection.dialect)
        statement = sa.text(
            f"with leads as (select * from ({leads}) as every_lead{among}),"
            " compared as (select leads.account_id, leads.inactive_reason as was, case"
            " when accounts.account_id is null then 'gone' when not accounts.is_active_prospect then 'customer'"
            " end as now_is from leads"
            " left join analytics.dim_accounts as accounts on accounts.account_id = leads.account_id)"
            " select account_id, now_is from compared where coalesce(was, '') <> coalesce(now_is, '')"
        )
        if account_ids is None:
            return dict(connection.execute(statement).tuples().all())
        named = statement.bindparams(sa.bindparam("wanted", expanding=True))
        return dict(connection.execute(named, {"wanted": list(account_ids)}).tuples().all())


def _mark(
    warehouse: Warehouse,
    ids: Sequence[str],
    wanted: Mapping[str, str | None],
    made: tuple[str, datetime],
    before_commit: Callable[[], None],
) -> None:
    job_id, moment = made
    with warehouse.outbound(write=True) as connection:
        pairs = _to_pairs(connection, ids, wanted)
        told = read_history(connection, ids, job_id)
        history = [
            add_history(told.get(after["account_id"]), to_history_row(before, as_told(after, job_id, moment)))
            for before, after in pairs
        ]
        staged = [
            *stage_rows(warehouse, connection, lead_scores, [after for _, after in pairs], _IS_OTHER),
            *stage_rows(warehouse, connection, lead_score_history, history, TELLS_MORE),
        ]
        for one in staged:
            marks = ("is_active", "inactive_reason") if one.target is lead_scores else None
            merge_staged(connection, one.target, one.offered, update_when=one.update_when, updates=marks)
        before_commit()


def as_told(lead: Mapping[str, Any], job_id: str, moment: datetime) -> dict[str, Any]:
    """The lead as its row of history tells of it: the job that moved it, and when."""
    return {**lead, "job_id": job_id, "scored_at": moment}


def _read_pairs(
    warehouse: Warehouse, ids: Sequence[str], wanted: Mapping[str, str | None]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    with warehouse.outbound() as connection:
        return _to_pairs(connection, ids, wanted)


def _to_pairs(
    connection: sa.Connection, ids: Sequence[str], wanted: Mapping[str, str | None]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each lead as it is, and as it is to be."""
    columns = present_columns(connection, lead_scores)
    among = sa.text(in_values(connection, "account_id", "wanted"))
    statement = sa.select(*columns).where(among).order_by(lead_scores.c.account_id)
    leads = [dict(row) for row in connection.execute(statement, {"wanted": to_parameter(ids)}).mappings()]
    reasons = [wanted[lead["account_id"]] for lead in leads]
    return [
        (lead, {**lead, "is_active": reason is None, "inactive_reason": reason})
        for lead, reason in zip(leads, reasons, strict=True)
    ]


def read_history(connection: sa.Connection, ids: Sequence[str], job_id: str) -> dict[str, dict[str, Any]]:
    """What this job has told of these leads already: its row takes in both changes."""
    among = sa.text(in_values(connection, "account_id", "wanted"))
    statement = sa.select(lead_score_history).where(lead_score_history.c.job_id == job_id, among)
    rows = connection.execute(statement, {"wanted": to_parameter(ids)}).mappings()
    return {row["account_id"]: dict(row) for row in rows}


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
