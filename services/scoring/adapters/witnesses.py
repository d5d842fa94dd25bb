"""Accounts that tell whether a model server answers at all, when it fails on one account after the other."""

from collections.abc import Collection

import sqlalchemy as sa

from services.scoring.adapters.marts import read_accounts, require_marts
from services.scoring.domain.profile import AccountProfile
from shared.warehouse import Warehouse, in_values, to_parameter


def find_witnesses(warehouse: Warehouse, doubtful: Collection[str], most: int) -> list[AccountProfile]:
    """At most so many accounts of the mart that are none of the doubtful ones, in the order of their profiles' hashes:
    neighbours there have nothing in common."""
    with warehouse.core() as connection:
        require_marts(connection)
        among = in_values(connection, "account_id", "doubtful")
        query = f"select account_id from analytics.dim_accounts where not ({among}) order by profile_hash, account_id"
        found = connection.execute(
            sa.text(f"{query} limit {most:d}"), {"doubtful": to_parameter(list(doubtful))}
        ).scalars()
        account_ids = list(found)
    return read_accounts(warehouse, account_ids)
