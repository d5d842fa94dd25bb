"""The two marts that scoring reads, for as many accounts as a benchmark wants, made by the warehouse itself."""

import sqlalchemy as sa

from shared.warehouse import Warehouse

_ACCOUNTS = """
    create or replace table analytics.dim_accounts as
    select
        'hubspot:' || lpad(cast(number as varchar), 9, '0') as account_id,
        'Account ' || number as account_name,
        'account' || number || '.example' as domain,
        ['logistics', 'construction', 'utilities', 'retail'][1 + number % 4] as industry,
        ['europe', 'north_america', 'asia_pacific'][1 + number % 3] as region,
        ['trucks', 'vans', 'mixed'][1 + number % 3] as vehicle_type,
        20 + number % 900 as employees,
        5 + number % 400 as fleet_size,
        number % 40 as visits_90d,
        number % 7 as high_intent_visits_90d,
        number % 90 as days_since_last_visit,
        number % 5 as engaged_contacts_90d,
        number % 2 as open_opportunities,
        cast((number % 2) * 25000 as decimal(18, 2)) as open_pipeline_usd,
        true as is_active_prospect,
        false as is_customer,
        10 + number % 40 as fit_score,
        number % 45 as engagement_score,
        10 + number % 40 + number % 45 as baseline_score,
        md5(cast(number as varchar)) as profile_hash,
        md5('facts' || cast(number as varchar)) as facts_hash,
        'weights-1' as weights_version,
        'build-1' as dbt_run_id,
        timestamp '2026-01-01' as dbt_updated_at
    from range(:accounts) as numbers(number)
"""
_FACTORS = """
    create or replace table analytics.fct_account_score_factors as
    select
        accounts.account_id, factors.factor, factors.component, cast(accounts.fleet_size as varchar) as value,
        cast(factors.points as decimal(6, 2)) as points, cast(20 as decimal(6, 2)) as max_points,
        factors.factor || ' as the mart explains it' as explanation, accounts.dbt_run_id, accounts.dbt_updated_at
    from analytics.dim_accounts as accounts
    cross join (
        values ('fleet_size', 'fit', 18), ('industry', 'fit', 12), ('employees', 'fit', 5), ('region', 'fit', 4),
            ('vehicle_type', 'fit', 5), ('visits', 'engagement', 4), ('high_intent_visits', 'engagement', 5),
            ('recency', 'engagement', 8), ('engaged_contacts', 'engagement', 2), ('open_pipeline', 'engagement', 3)
    ) as factors(factor, component, points)
    order by accounts.account_id
"""


def make_marts(warehouse: Warehouse, accounts: int) -> None:
    """Replace both by those of `accounts` active prospects with ten factors each (DuckDB)."""
    with warehouse.core(write=True) as connection:
        connection.execute(sa.text(_ACCOUNTS), {"accounts": accounts})
        connection.execute(sa.text(_FACTORS))
