{# What each factor looks at: a word of a fixed list, or a number. Null where the account has none. #}
{%- set words = {
    "industry": "accounts.industry",
    "region": "accounts.region",
    "vehicle_type": "accounts.vehicle_type",
} -%}
{%- set numbers = {
    "fleet_size": "accounts.fleet_size",
    "employees": "accounts.employees",
    "open_opportunities": "engagement.open_opportunities",
    "open_pipeline": "round(engagement.open_pipeline_usd)",
    "recent_visits": "engagement.visits_30d",
    "visits": "engagement.visits_90d",
    "high_intent_visits": "engagement.high_intent_visits_90d",
    "recency": "engagement.days_since_last_visit",
    "engaged_contacts": "engagement.engaged_contacts_90d",
} -%}

with accounts as (
    select * from {{ ref("int_accounts_merged") }}
),

engagement as (
    select * from {{ ref("int_account_engagement") }}
),

factor_values as (
    {% for factor, column in words.items() -%}
    select
        accounts.account_id,
        '{{ factor }}' as factor,
        nullif({{ column }}, 'unknown') as value_text,
        cast(null as decimal(18, 2)) as value_number
    from accounts
    union all
    {% endfor -%}
    {% for factor, column in numbers.items() -%}
    select
        accounts.account_id,
        '{{ factor }}' as factor,
        cast(cast({{ column }} as bigint) as varchar) as value_text,
        cast({{ column }} as decimal(18, 2)) as value_number
    from accounts
    inner join engagement on accounts.account_id = engagement.account_id
    {{ "union all" if not loop.last }}
    {% endfor -%}
)

select
    factor_values.*,
    {{ audit_columns() }}
from factor_values
