"""What a load has changed: RAW tables, and the accounts that their rows count for by the identity models, both before
the build that takes the load up and after it. So a record that moved, was merged or was deleted counts for the account
that it left as well.

`analytics_staging.load_records` remembers, `analytics.load_accounts` is what scoring reads (docs/contracts.md).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

import sqlalchemy as sa

from shared.warehouse import Warehouse

_KEPT: Final = timedelta(days=30)

# RAW table -> the ways from its rows, `changed`, to the accounts that they count for.
_ACCOUNT: Final = "int_accounts_matched as found on found.source_record_id = "
_PERSON: Final = "int_contacts_matched as found on found.record_type = '{}' and found.contact_id = "
_CONTACT: Final = _PERSON.format("contact")
_LEAD: Final = _PERSON.format("lead")
_DEAL: Final = "int_opportunities_unioned as found on found.source_record_id = "
_WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "hubspot_companies": (_ACCOUNT + "changed.source_record_id",),
    "hubspot_contacts": (_CONTACT + "changed.source_record_id", _ACCOUNT + "changed.company_id"),
    "hubspot_deals": (_DEAL + "changed.source_record_id", _ACCOUNT + "changed.company_id"),
    "hubspot_deal_companies": (_DEAL + "changed.deal_id", _ACCOUNT + "changed.company_id"),
    "hubspot_deal_contacts": (_DEAL + "changed.deal_id", _CONTACT + "changed.contact_id"),
    "hubspot_deal_stage_history": (_DEAL + "changed.deal_id",),
    "hubspot_deal_merges": (_DEAL + "changed.surviving_id",),
    "hubspot_contact_companies": (_CONTACT + "changed.contact_id", _ACCOUNT + "changed.company_id"),
    "hubspot_contact_merges": (_CONTACT + "changed.surviving_id", _CONTACT + "changed.merged_id"),
    "hubspot_web_visits": (_CONTACT + "changed.contact_id",),
    "hubspot_form_submissions": (_CONTACT + "changed.contact_id",),
    "salesforce_accounts": (_ACCOUNT + "changed.source_record_id", _ACCOUNT + "changed.master_record_id"),
    "salesforce_contacts": (_CONTACT + "changed.source_record_id", _ACCOUNT + "changed.account_id"),
    "salesforce_leads": (_LEAD + "changed.source_record_id", _ACCOUNT + "changed.converted_account_id"),
    "salesforce_opportunities": (_DEAL + "changed.source_record_id", _ACCOUNT + "changed.account_id"),
    "salesforce_opportunity_history": (_DEAL + "changed.opportunity_id",),
    "salesforce_opportunity_contact_roles": (_DEAL + "changed.opportunity_id", _CONTACT + "changed.contact_id"),
    "salesforce_campaign_members": (_CONTACT + "changed.contact_id", _LEAD + "changed.lead_id"),
    "salesforce_tasks": (_ACCOUNT + "changed.account_id",),
    "salesforce_events": (_ACCOUNT + "changed.account_id",),
}


_TABLES: Final = (
    "create table if not exists analytics_staging.load_records"
    " (load_id varchar, source_system varchar, source_record_id varchar, noted_at timestamp)",
    "create table if not exists analytics.load_accounts (load_id varchar, account_id varchar, noted_at timestamp)",
)
_REMEMBER: Final = """
insert into analytics_staging.load_records (load_id, source_system, source_record_id, noted_at)
select distinct :load_id, members.source_system, members.source_record_id, cast(:now as timestamp)
from raw.{table}{raw_at} as changed
inner join analytics_staging.{way} and found.source_system = changed.source_system
inner join analytics_staging.int_accounts_matched as members on found.account_id = members.account_id
left join analytics_staging.load_records as known
    on known.load_id = :load_id and members.source_system = known.source_system
    and members.source_record_id = known.source_record_id
where changed.load_id in :loads and known.load_id is null"""
_PUBLISH: Final = """
insert into analytics.load_accounts (load_id, account_id, noted_at)
select distinct :load_id, matched.account_id, cast(:now as timestamp)
from analytics_staging.load_records as records
inner join analytics_staging.int_accounts_matched as matched
    on records.source_system = matched.source_system and records.source_record_id = matched.source_record_id
where records.load_id = :load_id"""


class LoadChanges:
    """Of one load that is being built. `loads` are all that the build takes up; those of changed records count for its
    accounts like the load itself, since the build that was theirs may have failed. RAW is read as dbt reads it:
    `raw_at` is what the warehouse's reservation gives."""

    def __init__(self, warehouse: Warehouse, load_id: str, loads: Sequence[str], raw_at: str = "") -> None:
        self._warehouse = warehouse
        self._raw_at = raw_at
        self.load_id = load_id
        self._loads = tuple(loads)

    @cached_property
    def tables(self) -> list[str]:
        """RAW tables with rows that one of the loads was the last to change. By the rows: a sync that was killed after
        its commit and tried again counts them as unchanged."""
        with self._warehouse.core() as connection:
            named = sa.text(
                f"select distinct source_table from raw.loads{self._raw_at}"
                " where load_id in :loads order by source_table"
            )  # nosec B608 - the clause is the warehouse's
            read = connection.scalars(_among(named), {"loads": self._loads}).all()
            return [table for table in read if self._has_rows(connection, table)]

    def remember(self) -> None:
        """The records of the accounts as they are now: before dbt starts, and again when it has ended. A repeat, also
        by another attempt, adds what is new: what the first one saw before dbt ran stays."""
        tables = self.tables  # read by a connection of its own
        with self._warehouse.core(write=True) as connection:
            if not _has_models(connection):
                return
            _create(connection)
            loads = self._loads_that_count(connection)
            values = {"load_id": self.load_id, "loads": loads, "now": _now()}
            for table in tables:
                for way in _WAYS.get(table, ()):
                    connection.execute(
                        _among(sa.text(_REMEMBER.format(table=table, way=way, raw_at=self._raw_at))), values
                    )

    def publish(self) -> int:
        """Write the load's rows of `analytics.load_accounts` anew, and forget old loads; the number of accounts."""
        values = {"load_id": self.load_id, "now": _now(), "old": _now() - _KEPT}
        with self._warehouse.core(write=True) as connection:
            _create(connection)
            connection.execute(sa.text("delete from analytics.load_accounts where load_id = :load_id"), values)
            connection.execute(sa.text(_PUBLISH), values)
            connection.execute(sa.text("delete from analytics.load_accounts where noted_at < :old"), values)
            connection.execute(sa.text("delete from analytics_staging.load_records where noted_at < :old"), values)
            counted = sa.text("select count(*) from analytics.load_accounts where load_id = :load_id")
            return int(connection.execute(counted, values).scalar_one())

    def _loads_that_count(self, connection: sa.Connection) -> tuple[str, ...]:
        named = sa.text(
            f"select distinct load_id from raw.loads{self._raw_at} where load_id in :loads and mode = 'records'"
        )  # nosec B608 - likewise
        return tuple({self.load_id, *connection.scalars(_among(named), {"loads": self._loads})})

    def _has_rows(self, connection: sa.Connection, table: str) -> bool:
        rows = f"raw.{table}{self._raw_at}"
        found = sa.text(f"select 1 from {rows} where load_id in :loads limit 1")  # nosec B608 - out of raw.loads
        return connection.execute(_among(found), {"loads": self._loads}).first() is not None


def _create(connection: sa.Connection) -> None:
    for statement in _TABLES:
        connection.execute(sa.text(statement))


def _has_models(connection: sa.Connection) -> bool:
    query = (
        "select count(*) from information_schema.tables where lower(table_schema) = 'analytics_staging' and"
        " lower(table_name) in ('int_accounts_matched', 'int_contacts_matched', 'int_opportunities_unioned')"
    )
    return int(connection.execute(sa.text(query)).scalar_one()) == 3


def _among(statement: sa.TextClause) -> sa.TextClause:
    return statement.bindparams(sa.bindparam("loads", expanding=True))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
