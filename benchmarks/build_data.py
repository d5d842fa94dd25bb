"""RAW at scale, made in the engine: the generator's market (docs/mock-source.md) without its hidden traits."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.ingest.adapters.raw_tables import RAW_TABLES, create_raw_tables
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from shared.warehouse import Warehouse

_CHANNELS = """
    case when share < 0.18 then 'https://www.google.com/' when share < 0.45 then 'https://www.google.com/'
        when share < 0.57 then 'https://www.linkedin.com/'
        when share < 0.67 then 'https://fleet-review.example/best-fleet-software' end as referrer,
    case when share < 0.18 then 'google' when share between 0.45 and 0.57 then 'linkedin'
        when share between 0.67 and 0.81 then 'hubspot' end as utm_source,
    case when share < 0.18 then 'cpc' when share between 0.45 and 0.57 then 'paid_social'
        when share between 0.67 and 0.81 then 'email' end as utm_medium,
    case when share < 0.18 then 'brand' when share between 0.67 and 0.81 then 'newsletter' end as utm_campaign
"""


@dataclass(frozen=True)
class Size:
    """How much lies in RAW. Two to three contacts an account."""

    visits: int
    accounts: int
    opportunities: int


def land_market(warehouse: Warehouse, size: Size, horizon: datetime) -> None:
    """A year until `horizon`, in one load."""
    with warehouse.core(write=True) as connection:
        create_raw_tables(connection)
        _insert(connection, "hubspot_companies", "load-1", horizon, _companies(size, horizon))
        _insert(connection, "salesforce_accounts", "load-1", horizon, _accounts(size, horizon))
        _insert(connection, "hubspot_contacts", "load-1", horizon, _contacts(size, horizon))
        _insert(connection, "salesforce_opportunities", "load-1", horizon, _opportunities(size, horizon))
        visits = _visits(size, 0, size.visits, horizon, "365 * pow(when_drawn, 1.5)")
        _insert(connection, "hubspot_web_visits", "load-1", horizon, visits)
    ensure_public_suffixes(warehouse)


def land_a_day(warehouse: Warehouse, size: Size, at: datetime) -> None:
    """1 %: new visits, a tenth of them up to 60 days late; a few corrected; opportunities that were closed."""
    new = size.visits // 100
    with warehouse.core(write=True) as connection:
        age = "case when h5 < 0.1 then 60 * when_drawn else when_drawn end"
        _insert(connection, "hubspot_web_visits", "load-2", at, _visits(size, size.visits, new, at, age))
        _touch(connection, "hubspot_web_visits", at, "utm_campaign = 'corrected'", "hash(id) % 10000 = 1")
        _touch(
            connection,
            "salesforce_opportunities",
            at,
            f"stage_name = 'Closed Won', is_closed = 'true', is_won = 'true', close_date = '{at:%Y-%m-%d}'",
            "is_closed = 'false' and hash(id) % 20 = 1",
        )


def _h(number: str, salt: int) -> str:
    """A share of 0 to 1 that a number always gives."""
    return f"((hash({number} * 31 + {salt}) % 1000003) / 1000003.0)"


def _visits(size: Size, first: int, count: int, horizon: datetime, age_days: str) -> str:
    """Few accounts come often; one visit in five is not signed in, one in fifteen is a stranger's."""
    return f"""
        select 'pv-' || lpad(n::varchar, 9, '0') as id,
            case when h3 >= 0.2 then 'c' || person end as contact_id,
            case when h3 < 1 / 15 then 'stranger' || n else 'v' || person end as visitor_id,
            strftime(timestamp '{horizon}' - to_milliseconds(cast(86400000 * ({age_days}) as bigint)),
                '%Y-%m-%dT%H:%M:%S.%gZ') as occurred_at,
            'https://www.routepilot.example'
                || ['/pricing', '/demo', '/', '/blog/cut-fuel-costs', '/blog/driver-safety', '/customers',
                '/product/telematics', '/careers'][1 + cast(floor(8 * h6) as integer)] as page_url,
            'Fleet software' as page_title, {_CHANNELS}
        from (
            select *, account + {size.accounts} * cast(floor(h2 * 2.5) as bigint) as person from (
                select range as n, cast(floor({size.accounts} * pow({_h("range", 1)}, 2.2)) as bigint) as account,
                    {_h("range", 2)} as h2, {_h("range", 3)} as h3, {_h("range", 4)} as share,
                    {_h("range", 5)} as h5, {_h("range", 6)} as h6, {_h("range", 7)} as when_drawn
                from range({first}, {first + count})
            ) as drawn
        ) as visits"""


def _companies(size: Size, horizon: datetime) -> str:
    return f"""
        select 'a' || range as id, 'Company ' || range as name, 'company-' || range || '.example' as domain,
            'LOGISTICS_AND_SUPPLY_CHAIN' as industry, 'United States' as country, '120' as numberofemployees,
            cast(1 + range % 900 as varchar) as fleet_size, 'trucks' as vehicle_type,
            case when range % 2 = 0 then '001Fm' || lpad(range::varchar, 10, '0') end as salesforce_account_id,
            strftime(timestamp '{horizon}' - to_days(cast(400 + range % 600 as integer)), '%Y-%m-%dT%H:%M:%SZ')
                as createdate
        from range({size.accounts})"""


def _accounts(size: Size, horizon: datetime) -> str:
    return f"""
        select '001Fm' || lpad(range::varchar, 10, '0') as id, 'COMPANY ' || range || ' INC' as name,
            'https://www.company-' || range || '.example' as website, 'Retail' as industry,
            strftime(timestamp '{horizon}' - to_days(cast(400 + range % 500 as integer)), '%Y-%m-%dT%H:%M:%SZ')
                as created_date
        from range({size.accounts}) where range % 10 < 8"""


def _contacts(size: Size, horizon: datetime) -> str:
    return f"""
        select 'c' || range as id, 'person' || range || '@company-' || (range % {size.accounts}) || '.example' as email,
            'Ann' as firstname, 'a' || (range % {size.accounts}) as company_id,
            strftime(timestamp '{horizon}' - to_days(cast(range % 390 as integer)), '%Y-%m-%dT%H:%M:%SZ') as createdate
        from range({size.accounts * 5 // 2})"""


def _opportunities(size: Size, horizon: datetime) -> str:
    """Two in five are won, as many lost, the others open."""
    return f"""
        select '006Fm' || lpad(range::varchar, 10, '0') as id,
            '001Fm' || lpad(cast(floor({size.accounts} * {_h("range", 11)}) as bigint)::varchar, 10, '0') as account_id,
            'Fleet ' || range as name,
            cast(cast(1200 + 90000 * {_h("range", 12)} as decimal(18, 2)) as varchar) as amount,
            ['Closed Won', 'Closed Lost', 'Proposal'][kind] as stage_name, 'New Business' as type,
            cast(kind < 3 as varchar) as is_closed, cast(kind = 1 as varchar) as is_won,
            strftime(closes, '%Y-%m-%d') as close_date,
            strftime(closes - to_days(cast(20 + range % 60 as integer)), '%Y-%m-%dT%H:%M:%SZ') as created_date
        from (
            select range, case when range % 5 < 2 then 1 when range % 5 < 4 then 2 else 3 end as kind,
                timestamp '{horizon}' - to_days(cast(floor(360 * {_h("range", 13)}) as integer)) as closes
            from range({size.opportunities})
        ) as drawn"""


def _insert(connection: sa.Connection, table: str, load_id: str, at: datetime, select: str) -> None:
    columns = [column.name for column in RAW_TABLES[table].columns]
    given = f"({select}) as rows_of_source"
    names = {row[0] for row in connection.exec_driver_sql(f"describe select * from {given}").all()}
    known = {
        "source_system": f"'{table.split('_')[0]}'",
        "source_record_id": "id",
        "is_deleted": "false",
        "row_hash": "md5(id)",
        "load_id": f"'{load_id}'",
        "loaded_at": f"timestamp '{at}'",
    }
    values = [name if name in names else known.get(name, "null") for name in columns]
    connection.exec_driver_sql(f"insert into raw.{table} select {', '.join(values)} from {given}")
    _record(connection, table, load_id, at)


def _touch(connection: sa.Connection, table: str, at: datetime, changes: str, where: str) -> None:
    """Update as a load does: the rows belong to it from now on."""
    connection.exec_driver_sql(
        f"update raw.{table} set {changes}, row_hash = md5(row_hash), load_id = 'load-2', loaded_at = timestamp '{at}'"
        f" where load_id = 'load-1' and {where}"
    )
    _record(connection, table, "load-2", at)


def _record(connection: sa.Connection, table: str, load_id: str, at: datetime) -> None:
    """The load's row in `raw.loads`."""
    connection.exec_driver_sql(f"delete from raw.loads where load_id = '{load_id}' and source_table = '{table}'")
    system = table.split("_")[0]
    connection.exec_driver_sql(
        f"""insert into raw.loads by name select '{load_id}' as load_id, '{table}' as source_table, 'mock' as source,
            '{system}' as source_system, 'incremental' as mode, false as is_complete, false as is_baseline,
            count(*) as seen, count(*) as inserted, 0 as updated, 0 as unchanged, 0 as duplicates, 0 as rejected,
            timestamp '{at}' as loaded_at
        from raw.{table} where load_id = '{load_id}'"""
    )
