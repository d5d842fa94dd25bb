"""Reads ANALYTICS: what a scoring may know about its accounts (docs/contracts.md). Who they are: `plan.py`."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.scoring.adapters.outbound_tables import read_column_names, read_table_names
from services.scoring.domain.profile import FIELDS, AccountProfile, Factor, parse_values
from shared.errors import TerminalError
from shared.warehouse import Warehouse, in_values, to_parameter
from shared.warehouse.tables import or_hidden, refuse_if_hidden


def count_load_accounts(warehouse: Warehouse, load_id: str) -> int:
    """Accounts that the load has changed, as the build with its `load_id` found them; 0 where there was none.

    Raises:
        TerminalError: `warehouse-object-missing`, on Snowflake, where the table is not there or hidden.
    """
    with warehouse.core() as connection:
        if not has_load_accounts(connection):
            return 0
        query = "select count(*) from analytics.load_accounts where load_id = :load_id"
        return int(connection.execute(sa.text(query), {"load_id": load_id}).scalar_one())


def has_load_accounts(connection: sa.Connection) -> bool:
    """Whether a build has ever looked at a load. On Snowflake always: else what the load changed may only be hidden,
    and a scoring of it would end well, having scored nothing.

    Raises:
        TerminalError: `warehouse-object-missing`, when it leaves the warehouse's door.
    """
    if "load_accounts" in read_table_names(connection, "analytics"):
        return True
    refuse_if_hidden(connection, "analytics.load_accounts")
    return False


def read_accounts(warehouse: Warehouse, account_ids: Sequence[str]) -> list[AccountProfile]:
    """Profiles with their factors, in the order asked for; an id without a mart row is left out.

    Whoever plans has seen to it that the marts exist (`require_marts`): looking again at every slice costs as much as
    reading one.
    """
    if not account_ids:
        return []
    columns = ", ".join(FIELDS)
    bound = {"wanted": to_parameter(account_ids)}
    with warehouse.core() as connection:
        among = in_values(connection, "account_id", "wanted")
        accounts = connection.execute(
            sa.text(
                f"select account_id, account_name, domain, {columns}, baseline_score, fit_score, engagement_score,"
                " profile_hash, facts_hash, weights_version, is_active_prospect, dbt_run_id, dbt_updated_at"
                f" from analytics.dim_accounts where {among}"
            ),
            bound,
        ).mappings()
        by_id = {row["account_id"]: row for row in accounts}
        factors: dict[str, list[Factor]] = {}
        for row in connection.execute(
            sa.text(
                "select account_id, factor, component, value, points, max_points, explanation"
                f" from analytics.fct_account_score_factors where {among} order by account_id, factor"
            ),
            bound,
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
        facts_hash=row["facts_hash"],
        inactive_reason=None if row["is_active_prospect"] else "customer",
    )


def require_marts(connection: sa.Connection) -> None:
    """Raises TerminalError `marts-missing`."""
    missing = {"dim_accounts", "fct_account_score_factors"} - read_table_names(connection, "analytics")
    if missing:
        raise TerminalError(
            f"analytics.{', analytics.'.join(sorted(missing))} not found: no build has made the marts yet. "
            f"Start a build first (POST /v1/builds, or `gtm build`), then score again.{or_hidden(connection.dialect)}",
            code="marts-missing",
            title="The marts do not exist yet",
            status=409,
        )
    if "facts_hash" not in read_column_names(connection, "analytics", "dim_accounts"):
        raise TerminalError(
            "analytics.dim_accounts has no column facts_hash: an earlier release has built it. Start a build first "
            "(POST /v1/builds, or `gtm build`), then score again.",
            code="marts-missing",
            title="The marts are an earlier release's",
            status=409,
        )
