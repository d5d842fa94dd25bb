"""Writes REVERSE_ETL_OUTBOUND, and reads of it what a scoring job needs."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.scoring.adapters.activity import TELLS_MORE, read_history
from services.scoring.adapters.outbound_tables import (
    create_outbound_tables,
    lead_score_history,
    lead_scores,
    present_columns,
    score_rejects,
)
from services.scoring.domain.history import add_history, to_changes, to_history_row
from services.scoring.domain.interview import Refusal
from services.scoring.domain.tiers import keep_tier
from services.scoring.domain.written_off import WRITTEN_OFF, Outcome
from shared.warehouse import Warehouse, in_values, merge_staged, stage_rows, to_parameter

Row = Mapping[str, Any]
_NEVER = "1 = 0"
_IS_NEWER = "stored.mart_updated_at <= offered.mart_updated_at"


def prepare_outbound(warehouse: Warehouse) -> None:
    """Create the tables where they are missing; a repeat changes nothing."""
    with warehouse.outbound(write=True) as connection:
        create_outbound_tables(connection)


def upsert_batch(
    warehouse: Warehouse,
    leads: Sequence[Row],
    rejects: Sequence[Row],
    *,
    force: bool,
    before_commit: Callable[[], None],
    keeps_tier: bool = False,
) -> set[str]:
    """Leads, their history and the refused answers, all or nothing, one MERGE for each table; gives the accounts whose
    lead was written.

    A stored lead is overwritten only by another question's answer (with `force`: by another job), and never by one that
    saw an older mart: so a worker that was given up can't double or undo anything. History gets a row where something
    that a rep would notice changed.

    A job that comes by an account once more (another has overwritten its lead meanwhile) adds to its row of history.

    Args:
        before_commit: Called last inside the transaction; what it raises rolls all of it back.
        keeps_tier: Tiers go by capacity: a lead's is that of its stored row until all are ranked (`tiers.py`).
    """
    key = "job_id" if force else "input_key"
    with warehouse.outbound(write=True) as connection:
        stored = read_leads_in(connection, [lead["account_id"] for lead in leads], list(lead_scores.columns))
        if keeps_tier:
            leads = [keep_tier(lead, stored.get(lead["account_id"])) for lead in leads]
        fresh = [lead for lead in leads if _overwrites(lead, stored.get(lead["account_id"]), key)]
        history = _to_history(connection, list(_changed(fresh, stored)))
        # All staged before the first merge: Snowflake commits at DDL, which would commit a merge before the check.
        staged = [
            *stage_rows(warehouse, connection, lead_scores, fresh, f"stored.{key} <> offered.{key} and {_IS_NEWER}"),
            *stage_rows(warehouse, connection, lead_score_history, history, TELLS_MORE),
            *stage_rows(warehouse, connection, score_rejects, rejects, _NEVER),
        ]
        for one in staged:
            merge_staged(connection, one.target, one.offered, update_when=one.update_when)
        before_commit()
    return {lead["account_id"] for lead in fresh}


def read_stored_leads(warehouse: Warehouse, account_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Current rows of these accounts by id, as stored; those without one are left out."""
    with warehouse.outbound() as connection:
        columns = present_columns(connection, lead_scores)
        return read_leads_in(connection, account_ids, columns) if columns else {}


def read_job_totals(warehouse: Warehouse, job_id: str) -> dict[str, int]:
    """What a job has written so far: a restarted worker goes on counting from here."""
    is_baseline = sa.case((lead_scores.c.score_source == "baseline", 1), else_=0)
    is_template = sa.case((lead_scores.c.pitch_source == "template", 1), else_=0)
    sums = {
        "baseline_only": is_baseline,
        "template_pitches": is_template,
        "llm_calls": lead_scores.c.attempts,
        "prompt_tokens": lead_scores.c.prompt_tokens,
        "completion_tokens": lead_scores.c.completion_tokens,
    }
    totals = [
        sa.func.count().label("scored"),
        *(sa.func.coalesce(sa.func.sum(of), 0).label(n) for n, of in sums.items()),
    ]
    with warehouse.outbound() as connection:
        row = connection.execute(sa.select(*totals).where(lead_scores.c.job_id == job_id)).mappings().one()
        failed = sa.func.sum(sa.case((score_rejects.c.reason_code == WRITTEN_OFF, 1), else_=0))
        counts = sa.select(sa.func.count(), sa.func.coalesce(failed, 0)).where(score_rejects.c.job_id == job_id)
        rejects, written_off = connection.execute(counts).one()
    answers = {"rejected_answers": int(rejects) - int(written_off), "failed": int(written_off)}
    return {**{name: int(value) for name, value in row.items()}, **answers}


def to_reject_rows(outcome: Outcome, job_id: str, rejected_at: datetime) -> list[dict[str, Any]]:
    """A `score_rejects` row for each refused answer; the same job, account, attempt and moment give the same key."""
    return [_to_reject_row(outcome.account_id, job_id, refusal, rejected_at) for refusal in outcome.refusals]


def storable(text: str) -> str:
    """What a model wrote, as a column takes it: half a surrogate pair, which JSON can hold, is no character."""
    return text.encode("utf-8", "replace").decode()


def _to_reject_row(account_id: str, job_id: str, refusal: Refusal, rejected_at: datetime) -> dict[str, Any]:
    identity = "\x1f".join((account_id, job_id, str(refusal.attempt), rejected_at.isoformat()))
    return {
        "reject_id": hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest(),
        "account_id": account_id,
        "job_id": job_id,
        "attempt": refusal.attempt,
        "reason_code": refusal.code,
        "reason": storable(refusal.reason),
        "raw_answer": storable(refusal.raw_answer),
        "rejected_at": rejected_at,
    }


def read_leads_in(
    connection: sa.Connection, account_ids: Sequence[str], columns: Sequence[sa.ColumnElement[Any]]
) -> dict[str, dict[str, Any]]:
    """`read_stored_leads` on a connection that is open."""
    statement = sa.select(*columns).where(sa.text(in_values(connection, "account_id", "wanted")))
    rows = connection.execute(statement, {"wanted": to_parameter(account_ids)}).mappings()
    return {row["account_id"]: dict(row) for row in rows}


def _overwrites(lead: Row, before: Row | None, key: str) -> bool:
    """The MERGE's own condition, needed here to know which leads get a history row."""
    return before is None or (before[key] != lead[key] and before["mart_updated_at"] <= lead["mart_updated_at"])


def _to_history(connection: sa.Connection, changed: Sequence[tuple[Row, Row | None]]) -> list[dict[str, Any]]:
    """Of one job's leads, each with what was there before."""
    if not changed:
        return []
    told = read_history(connection, [lead["account_id"] for lead, _ in changed], changed[0][0]["job_id"])
    return [add_history(told.get(lead["account_id"]), to_history_row(before, lead)) for lead, before in changed]


def _changed(leads: Iterable[Row], stored: Mapping[str, Row]) -> Iterable[tuple[Row, Row | None]]:
    for lead in leads:
        before = stored.get(lead["account_id"])
        if before is None or to_changes(before, lead):
            yield lead, before
