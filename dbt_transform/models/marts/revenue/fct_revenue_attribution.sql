{{ config(
    materialized="incremental",
    incremental_strategy="replace_keys",
    unique_key=["opportunity_id", "attribution_model"],
    snowflake_warehouse=env_var("GTM_DBT_WAREHOUSE_LARGE", "") or none,
    on_schema_change="append_new_columns",
    meta={"compares": ["input_hash"]},
) }}
{#- Raise it when the meaning of a weight changes: every stored row is then computed anew by the next build. -#}
{%- set logic_version = 1 -%}
{%- set models = attribution_models().split(",") -%}
{%- set units = weight_units() -%}

with won as (
    select
        opportunities.opportunity_id,
        opportunities.account_id,
        opportunities.closed_at,
        cast(date_trunc('month', opportunities.closed_at) as date) as close_month,
        cast(round(coalesce(opportunities.amount_usd, 0) * 100) as bigint) as amount_cents,
        -- What was created after the close led nowhere. The close's second counts to its end, as it does for touches.
        case
            when leads.lead_created_at < {{ dbt.dateadd("second", 1, "opportunities.closed_at") }}
                then leads.lead_created_at
        end as lead_created_at,
        case
            when opportunities.created_at < {{ dbt.dateadd("second", 1, "opportunities.closed_at") }}
                then opportunities.created_at
        end as created_at
    from {{ ref("fct_opportunities") }} as opportunities
    left join {{ ref("int_leads_created") }} as leads on opportunities.account_id = leads.account_id
    where opportunities.is_won
),

touch_sets as (
    select
        opportunity_id,
        count(*) as touches,
        max(touched_at) as last_touched_at,
        sum({{ md5_number(
            "touch_number || '|' || touchpoint_id || '|' || channel || '|' || " ~ timestamp_text("touched_at")
        ) }}) as touches_hash
    from {{ ref("int_touches_counted") }}
    where is_won
    group by opportunity_id
),

channels_touched as (
    select
        counted.opportunity_id,
        counted.channel,
        counted.channel_touches,
        cast(coalesce(weights.removal_effect, 0) * {{ units }} as bigint) as effect_parts
    from (
        select
            opportunity_id,
            close_month,
            channel,
            count(*) as channel_touches
        from {{ ref("int_touches_counted") }}
        where is_won
        group by opportunity_id, close_month, channel
    ) as counted
    left join {{ ref("int_channel_weights") }} as weights
        on counted.close_month = weights.close_month and counted.channel = weights.channel
),

effect_sets as (
    select
        opportunity_id,
        sum({{ md5_number("channel || '|' || effect_parts") }}) as effects_hash
    from channels_touched
    group by opportunity_id
),

-- All that a weight or an amount is made of. Equal hash, equal rows.
rule_inputs as (
    select
        won.*,
        touch_sets.touches,
        touch_sets.last_touched_at,
        effect_sets.effects_hash,
        md5(
            '{{ logic_version }}|{{ var("time_decay_half_life_days", 7) }}|{{ models | join(" ") }}'
            || '|' || won.amount_cents
            || '|' || coalesce(won.account_id, '')
            || '|' || coalesce({{ timestamp_text("won.closed_at") }}, '')
            || '|' || coalesce({{ timestamp_text("won.created_at") }}, '')
            || '|' || coalesce({{ timestamp_text("won.lead_created_at") }}, '')
            || '|' || coalesce(touch_sets.touches, 0)
            || '|' || coalesce(touch_sets.touches_hash, 0)
        ) as rules_hash
    from won
    left join touch_sets on won.opportunity_id = touch_sets.opportunity_id
    left join effect_sets on won.opportunity_id = effect_sets.opportunity_id
),

expected as (
    select
        rule_inputs.*,
        'rules' as inputs,
        rules_hash as input_hash
    from rule_inputs
    union all
    select
        rule_inputs.*,
        'data_driven' as inputs,
        md5(rules_hash || '|' || coalesce(effects_hash, 0)) as input_hash
    from rule_inputs
),

{%- if is_incremental() %}

-- Every opportunity has exactly one row of first_touch, which stands for all models that follow a rule.
stored as (
    select distinct
        opportunity_id,
        case when attribution_model = 'data_driven' then 'data_driven' else 'rules' end as inputs,
        input_hash
    from {{ this }}
    where attribution_model in ('first_touch', 'data_driven')
),

changed as (
    select expected.*
    from expected
    left join stored
        on
            expected.opportunity_id = stored.opportunity_id
            and expected.inputs = stored.inputs
            and expected.input_hash = stored.input_hash
    where stored.opportunity_id is null
),
{%- else %}

changed as (
    select * from expected
),
{%- endif %}

changed_opportunities as (
    select distinct
        opportunity_id,
        touches,
        last_touched_at,
        lead_created_at,
        created_at
    from changed
    where touches is not null
),

touches as (
    select
        counted.opportunity_id,
        counted.touchpoint_id,
        counted.channel,
        counted.touched_at,
        counted.touch_number,
        counted.touches,
        opportunities.last_touched_at,
        -- Touch that led to the lead, and to the opportunity: the last one until then.
        max(case when counted.touched_at <= opportunities.lead_created_at then counted.touch_number end)
            over (partition by counted.opportunity_id) as lead_touch,
        max(case when counted.touched_at <= opportunities.created_at then counted.touch_number end)
            over (partition by counted.opportunity_id) as opportunity_touch
    from {{ ref("int_touches_counted") }} as counted
    inner join changed_opportunities as opportunities on counted.opportunity_id = opportunities.opportunity_id
),

roles as (
    select
        touches.*,
        case when touch_number = 1 then 1 else 0 end as is_first,
        case when touch_number = lead_touch then 1 else 0 end as is_lead,
        case when touch_number = opportunity_touch then 1 else 0 end as is_opportunity,
        touches - 1 - case when lead_touch > 1 then 1 else 0 end as others_u,
        touches - 1 - case when lead_touch > 1 then 1 else 0 end
        - case when opportunity_touch > 1 and opportunity_touch <> coalesce(lead_touch, 0) then 1 else 0 end as others_w
    from touches
),

-- Shares as whole parts of nothing in particular. A role that no touch has, or touches without a role where there are
-- none, simply add no parts: the rest is the whole.
parts as (
    select
        roles.opportunity_id,
        roles.touchpoint_id,
        roles.channel,
        roles.touched_at,
        roles.touch_number,
        roles.is_first as first_touch_parts,
        case when roles.touch_number = roles.touches then 1 else 0 end as last_touch_parts,
        1 as linear_parts,
        case
            when roles.is_first + roles.is_lead = 0 then 20
            else 40 * (roles.is_first + roles.is_lead) * greatest(roles.others_u, 1)
        end as u_shaped_parts,
        case
            when roles.is_first + roles.is_lead + roles.is_opportunity = 0 then 10
            else 30 * (roles.is_first + roles.is_lead + roles.is_opportunity) * greatest(roles.others_w, 1)
        end as w_shaped_parts,
        -- Counted back from the last touch instead of the close: the shares are the same, and never are all of them 0.
        cast(round({{ units }} * power(
            cast(0.5 as double),
            {{ dbt.datediff("roles.touched_at", "roles.last_touched_at", "second") }}
            / cast({{ 86400 * var("time_decay_half_life_days", 7) }} as double)
        )) as bigint) as time_decay_parts,
        case
            when sum(channels_touched.effect_parts) over (partition by roles.opportunity_id) = 0 then 1
            else {{ whole_share("1000", "channels_touched.effect_parts", "channels_touched.channel_touches") }}
        end as data_driven_parts
    from roles
    inner join channels_touched
        on roles.opportunity_id = channels_touched.opportunity_id and roles.channel = channels_touched.channel
),

running as (
    select
        parts.*
        {{- running_parts() | indent(4) }}
    from parts
),

models as (
    {{- attribution_model_rows() }}
),

shares as (
    select
        changed.opportunity_id,
        changed.account_id,
        changed.closed_at,
        changed.amount_cents,
        changed.input_hash,
        models.attribution_model,
        running.touchpoint_id,
        running.channel,
        running.touched_at,
        {{ of_model("running", "parts") | indent(4) }} as parts,
        {{ of_model("running", "so_far") | indent(4) }} as parts_so_far,
        {{ of_model("running", "all") | indent(4) }} as all_parts
    from changed
    inner join models on changed.inputs = models.inputs
    inner join running on changed.opportunity_id = running.opportunity_id
),

attributed as (
    select
        opportunity_id,
        account_id,
        attribution_model,
        touchpoint_id,
        channel,
        touched_at,
        closed_at,
        {{ running_share(units, "parts", "parts_so_far", "all_parts") }} as weight_units,
        {{ running_share("amount_cents", "parts", "parts_so_far", "all_parts") }} as attributed_cents,
        input_hash
    from shares
    where parts > 0
    union all
    select
        changed.opportunity_id,
        changed.account_id,
        models.attribution_model,
        cast(null as varchar) as touchpoint_id,
        'unattributed' as channel,
        cast(null as timestamp) as touched_at,
        changed.closed_at,
        {{ units }} as weight_units,
        changed.amount_cents as attributed_cents,
        changed.input_hash
    from changed
    inner join models on changed.inputs = models.inputs
    where changed.touches is null
)

select
    md5(opportunity_id || '|' || attribution_model || '|' || coalesce(touchpoint_id, '')) as attribution_id,
    opportunity_id,
    account_id,
    attribution_model,
    touchpoint_id,
    channel,
    touched_at,
    closed_at,
    {{ units_to_weight("weight_units") }} as attribution_weight,
    {{ cents_to_money("attributed_cents") }} as attributed_arr_usd,
    input_hash,
    {{ audit_columns() }}
from attributed
{%- if is_incremental() %}
union all
-- Tombstones: reopened, lost after all, deleted, merged away.
select distinct
    cast(null as varchar) as attribution_id,
    stored.opportunity_id,
    cast(null as varchar) as account_id,
    models.attribution_model,
    cast(null as varchar) as touchpoint_id,
    cast(null as varchar) as channel,
    cast(null as timestamp) as touched_at,
    cast(null as timestamp) as closed_at,
    cast(null as decimal(18, 12)) as attribution_weight,
    cast(null as decimal(18, 2)) as attributed_arr_usd,
    cast(null as varchar) as input_hash,
    cast(null as varchar) as job_id,
    cast(null as varchar) as dbt_run_id,
    cast(null as timestamp) as dbt_updated_at
from stored
cross join models
left join won on stored.opportunity_id = won.opportunity_id
where won.opportunity_id is null
{%- endif %}
