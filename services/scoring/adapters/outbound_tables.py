"""REVERSE_ETL_OUTBOUND: what sales systems read. The comments are the documentation, and go into the warehouse."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import SetColumnComment

from shared.warehouse.tables import create_table

SCHEMA = "reverse_etl_outbound"
outbound_metadata = sa.MetaData(schema=SCHEMA)


def _text(name: str, comment: str, *, key: bool = False, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=key, nullable=null and not key, comment=comment)


def _whole(name: str, comment: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, comment=comment)


def _time(name: str, comment: str, *, null: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime, nullable=null, comment=f"{comment} (UTC)")


lead_scores = sa.Table(
    "lead_scores",
    outbound_metadata,
    _text("account_id", "analytics.dim_accounts.account_id", key=True),
    _text("account_name", "as in the mart row dbt_run_id"),
    _text("domain", "as in the mart row dbt_run_id", null=True),
    _whole("lead_score", "0..100: baseline_score moved by the model by at most GTM_SCORE_BOUND"),
    _whole("baseline_score", "0..100: fit_score + engagement_score, computed in the mart"),
    _whole("fit_score", "0..50"),
    _whole("engagement_score", "0..50"),
    _whole("llm_score", "0..100 as the model answered; null when the score is the baseline alone", null=True),
    _text("tier", "A, B, C or D, from lead_score by GTM_TIER_A, _B, _C"),
    sa.Column(
        "is_active",
        sa.Boolean,
        nullable=False,
        server_default=sa.true(),
        comment="the account is an active prospect; a lead that is none any more is kept as it was",
    ),
    _text("inactive_reason", "customer, gone (deleted or merged away); null while is_active", null=True),
    _text("reasons", "JSON list, strongest first: factor, component, points (signed), max_points, value, explanation"),
    _text("factors", "JSON list of every factor of baseline_score, as reasons has them; null: an older row", null=True),
    _text("claims", "JSON list of the model's claims that the data bears out: field, polarity"),
    _text("pitch", "text for the account, facts filled in by code"),
    _text("next_action", "book_demo, call, email, nurture or wait; the model chooses among what the tier allows"),
    _text("proposed_action", "next_action as the model proposed it; null: no answer, or an older row", null=True),
    _text("score_source", "llm or baseline"),
    _text("pitch_source", "llm or template"),
    _text("profile_hash", "analytics.dim_accounts.profile_hash that was scored"),
    _text(
        "input_key",
        "sha256 of profile_hash, prompt_version, model_digest, rules_version, score_bound: equal key, equal question",
    ),
    _text("prompt_version", "hash of the prompt file"),
    _text("rules_version", "hash of answer schema, model options and pitch policy"),
    _text(
        "weights_version",
        "analytics.dim_accounts.weights_version: weights of the baseline; null: an older row",
        null=True,
    ),
    _whole("score_bound", "GTM_SCORE_BOUND when scored; null: an older row", null=True),
    _text("model_name", "model asked, as OLLAMA_MODEL names it"),
    _text("model_digest", "digest of the model's files, from the server"),
    sa.Column("temperature", sa.Float, nullable=False, comment="sampling temperature asked for"),
    _whole("seed", "seed of the last attempt; it does not reproduce an answer, which is why answers are stored"),
    _text("dbt_run_id", "build of the mart row whose facts these are"),
    _time("mart_updated_at", "dbt_updated_at of that mart row; a row from an older one never overwrites a newer"),
    _text("job_id", "job that asked about the account"),
    _whole("prompt_tokens", "over all attempts, as the server counted"),
    _whole("completion_tokens", "over all attempts, as the server counted"),
    _whole("llm_duration_ms", "over all attempts, as the server measured"),
    _whole("attempts", "answers asked for; 0 would mean none"),
    _text(
        "llm_answer",
        "the answer that counted, as the model wrote it, cut at 4000 characters; untrusted, for audits. Null: none",
        null=True,
    ),
    _time("scored_at", "when this row was made"),
    _text(
        "facts_hash",
        "analytics.dim_accounts.facts_hash: the exact facts that the row shows; null: an older row",
        null=True,
    ),
    _text(
        "pitch_template",
        "the model's pitch with its slots, filled anew where facts change; null: none passed, or an older row",
        null=True,
    ),
    _text("refresh_job_id", "job that last brought the facts up to date since scored_at; null: none", null=True),
    _time("refreshed_at", "when that job did; null: not since scored_at", null=True),
    comment="One row per account: the current lead.",
)

lead_score_history = sa.Table(
    "lead_score_history",
    outbound_metadata,
    _text("account_id", "lead_scores.account_id", key=True),
    _text("job_id", "job that changed the row", key=True),
    _whole("lead_score", "score that the job wrote"),
    _whole("previous_lead_score", "score before; null on the first", null=True),
    _whole("baseline_score", "baseline behind it"),
    _whole("llm_score", "model's answer behind it; null when there was none", null=True),
    _text("tier", "tier that the job wrote"),
    _text("changed", "JSON object of what changed: column -> [before, after]; empty on the first"),
    _text(
        "reasons",
        "JSON list of why: kind (first, factor, clamp, baseline, llm, prompt, model, rules, weights, bound, tier, "
        "name, activity, facts, answer), points (signed; they add up to the change of lead_score), before, after, "
        "explanation; null: an older row",
        null=True,
    ),
    _text("score_source", "llm or baseline"),
    _text("pitch_source", "llm or template"),
    _text("input_key", "question behind it"),
    _text("dbt_run_id", "build of the mart row behind it"),
    _time("scored_at", "when"),
    comment="One row per account and job that changed its lead.",
)

score_rejects = sa.Table(
    "score_rejects",
    outbound_metadata,
    _text("reject_id", "md5 of account_id, job_id, attempt and rejected_at", key=True),
    _text("account_id", "account that was asked about"),
    _text("job_id", "job that asked"),
    _whole("attempt", "which answer, from 1"),
    _text("reason_code", "first reason; docs/pitch-firewall.md has them all"),
    _text("reason", "every reason, in words"),
    _text("raw_answer", "what the model wrote, cut at 4000 characters; untrusted"),
    _time("rejected_at", "when"),
    comment="One row per refused model answer. Written by a language model: show it to people, never to programs.",
)


def create_outbound_tables(connection: sa.Connection) -> None:
    """Create what is missing with its comments, columns of a newer release too. A repeat changes nothing; the schema
    must exist."""
    for table in outbound_metadata.sorted_tables:
        present = read_column_names(connection, SCHEMA, table.name)
        if not present:
            create_table(connection, table)
        missing = [column for column in table.columns if present and column.name not in present]
        # Those with a default last: DuckDB alters no table that its own transaction has filled.
        for column in sorted(missing, key=lambda one: one.server_default is not None):
            _add_column(connection, column)
        for column in missing:
            connection.execute(SetColumnComment(column))


def present_columns(connection: sa.Connection, table: sa.Table) -> list[sa.ColumnElement[object]]:
    """What to select of a table: a column that an earlier release did not write yet is null, or its default. Empty: the
    table is not there."""
    present = read_column_names(connection, SCHEMA, table.name)
    if not present:
        return []
    return [column if column.name in present else _stand_in(column) for column in table.columns]


def read_table_names(connection: sa.Connection, schema: str) -> set[str]:
    """Tables and views of one schema, in lower case on both engines."""
    listing = sa.text("select table_name from information_schema.tables where lower(table_schema) = :schema")
    return {str(name).lower() for name in connection.execute(listing, {"schema": schema}).scalars()}


def read_column_names(connection: sa.Connection, schema: str, table: str) -> set[str]:
    """Columns of one table or view, in lower case on both engines; empty where it is missing."""
    listing = sa.text(
        "select column_name from information_schema.columns"
        " where lower(table_schema) = :schema and lower(table_name) = :name"
    )
    found = connection.execute(listing, {"schema": schema, "name": table})
    return {str(name).lower() for name in found.scalars()}


def _add_column(connection: sa.Connection, column: sa.Column[Any]) -> None:
    """Rows that are there get null, or the default."""
    kind = column.type.compile(dialect=connection.dialect)
    default = " default true" if column.server_default is not None else ""
    name = f"{column.table.schema}.{column.table.name}"
    connection.execute(sa.text(f"alter table {name} add column {column.name} {kind}{default}"))


def _stand_in(column: sa.Column[Any]) -> sa.ColumnElement[object]:
    value = sa.true() if column.server_default is not None else sa.null()
    return sa.cast(value, column.type).label(column.name)
