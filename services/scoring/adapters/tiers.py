"""Tiers after a scoring: every active lead against the rule, in one query, without the model being asked."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from services.scoring.adapters.activity import TELLS_MORE, as_told, read_history
from services.scoring.adapters.outbound_tables import lead_score_history, lead_scores, present_columns
from services.scoring.domain.history import add_history, to_history_row, to_shown_change
from services.scoring.domain.tiers import LAST_TIER, TierRule, move_to_tier
from shared.warehouse import Warehouse, in_values, merge_staged, stage_rows, to_parameter

_AT_ONCE: Final = 1_000  # leads in memory
_MOVED: Final = ("tier", "next_action")


def settle_tiers(
    warehouse: Warehouse, rule: TierRule, job_id: str, moment: datetime, *, before_commit: Callable[[], None]
) -> int:
    """Move every active lead that the rule wants in another tier, each with its history; the number of them.

    Equal scores rank by account_id. A repeat moves none. Neither the score nor `job_id` of a lead changes: nobody
    scored it. The tables must exist.

    Args:
        moment: Naive UTC, of the history.
        before_commit: Called last inside each transaction; what it raises rolls that one back.
    """
    moved = 0
    while wanted := _read_moves(warehouse, rule, _AT_ONCE):
        _move(warehouse, wanted, (job_id, moment), before_commit)
        moved += len(wanted)
    return moved


def show_tiers(warehouse: Warehouse, rule: TierRule, *, most: int) -> list[dict[str, Any]]:
    """What `settle_tiers` would change of the leads as they are now, for a dry run; writes nothing."""
    wanted = _read_moves(warehouse, rule, most)
    if not wanted:
        return []
    with warehouse.outbound() as connection:
        shown = [to_shown_change(lead, move_to_tier(lead, wanted[name])) for name, lead in _read(connection, wanted)]
    return [change for change in shown if change is not None]


def _read_moves(warehouse: Warehouse, rule: TierRule, most: int) -> dict[str, str]:
    """Account -> its tier by the rule, where its lead has another one."""
    columns = ("account_id", "lead_score", "tier", "is_active")
    measure, compare = ("lead_score", ">=") if rule.by == "score" else ("place", "<=")
    cases = " ".join(f"when {measure} {compare} {int(bound)} then '{name}'" for name, bound in rule.bounds)
    with warehouse.outbound() as connection:
        stored = {column.name: column for column in present_columns(connection, lead_scores)}
        if not stored:
            return {}
        leads = sa.select(*(stored[name] for name in columns)).compile(dialect=connection.dialect)
        rows = connection.execute(
            sa.text(
                "with ranked as (select account_id, lead_score, tier,"
                " row_number() over (order by lead_score desc, account_id) as place"
                f" from ({leads}) as leads where is_active),"
                f" judged as (select account_id, tier, case {cases} else '{LAST_TIER}' end as wanted from ranked)"
                f" select account_id, wanted from judged where tier <> wanted order by account_id limit {int(most)}"
            )
        ).all()
    return {row.account_id: row.wanted for row in rows}


def _move(
    warehouse: Warehouse, wanted: dict[str, str], job: tuple[str, datetime], before_commit: Callable[[], None]
) -> None:
    with warehouse.outbound(write=True) as connection:
        leads = [(lead, wanted[name]) for name, lead in _read(connection, wanted) if lead["tier"] != wanted[name]]
        pairs = [(lead, move_to_tier(lead, tier)) for lead, tier in leads]
        told = read_history(connection, list(wanted), job[0])
        history = [
            add_history(told.get(after["account_id"]), to_history_row(before, as_told(after, *job)))
            for before, after in pairs
        ]
        staged = [
            *stage_rows(warehouse, connection, lead_scores, [lead for _, lead in pairs], "stored.tier <> offered.tier"),
            *stage_rows(warehouse, connection, lead_score_history, history, TELLS_MORE),
        ]
        for one in staged:
            updates = _MOVED if one.target is lead_scores else None
            merge_staged(connection, one.target, one.offered, update_when=one.update_when, updates=updates)
        before_commit()


def _read(connection: sa.Connection, wanted: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    among = sa.text(in_values(connection, "account_id", "wanted"))
    statement = sa.select(*present_columns(connection, lead_scores)).where(among).order_by(lead_scores.c.account_id)
    rows = connection.execute(statement, {"wanted": to_parameter(list(wanted))}).mappings().all()
    return [(row["account_id"], dict(row)) for row in rows]
