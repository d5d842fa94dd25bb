{#
    The marketing channels, joined by commas: what `to_channel` gives, and so all the states that a path can pass. Text, since
    a macro that returns a list can't be linted; callers split it.
#}
{% macro marketing_channels() -%}
    paid_search,paid_social,organic_search,organic_social,email,display,event,partner,referral,direct,other
{%- endmacro %}


{# Attribution models, joined by commas. #}
{% macro attribution_models() -%}
    first_touch,last_touch,linear,u_shaped,w_shaped,time_decay,data_driven
{%- endmacro %}


{#
    The attribution models as rows; `inputs` says what else than the opportunity and its touches a weight depends on:
    `rules` on settings alone, `data_driven` on the channels' weights.
#}
{% macro attribution_model_rows() -%}
    {%- for model in attribution_models().split(",") %}
    select
        '{{ model }}' as attribution_model,
        '{{ "data_driven" if model == "data_driven" else "rules" }}' as inputs
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}


{# A Salesforce campaign's type as a marketing channel; the pick list is the customer's own. #}
{% macro to_campaign_channel(campaign_type) -%}
    {{ first_word_found("coalesce(" ~ campaign_type ~ ", 'other')", [
        ("event", ["webinar", "event", "conference", "trade show", "tradeshow", "seminar", "workshop", "roadshow", "dinner"]),
        ("partner", ["partner", "reseller", "alliance"]),
        ("referral", ["referral", "customer advocacy", "review"]),
        ("email", ["email", "e-mail", "newsletter", "nurture"]),
        ("paid_social", ["paid social", "social ads", "sponsored"]),
        ("organic_social", ["social"]),
        ("paid_search", ["paid search", "search ads", "ppc", "sem", "adwords", "google ads"]),
        ("organic_search", ["seo", "organic"]),
        ("display", ["display", "banner", "advertis", "retargeting"]),
        ("direct", ["website", "web direct", "web form", "direct traffic"]),
    ], "other") }}
{%- endmacro %}


{# HubSpot's deal types and Salesforce's opportunity types, and what people type instead. #}
{% macro to_opportunity_type(column) -%}
    {%- set text = type_letters(column) -%}
    case
        when {{ text }} like '%renew%' or {{ text }} like '%replacement%' then 'renewal'
        when {{ text }} like '%downgrade%' or {{ text }} like '%contraction%' then 'contraction'
        when {{ text }} like '%existing%' or {{ says_expansion(column) }} then 'expansion'
        when {{ text }} like '%new%' then 'new_business'
        else 'other'
    end
{%- endmacro %}


{% macro type_letters(column) -%}
    replace(replace(replace(lower(coalesce({{ column }}, '')), '_', ''), '-', ''), ' ', '')
{%- endmacro %}


{# True where the CRM's own type says that more was sold, false where it says existing business, or nothing. #}
{% macro says_expansion(column) -%}
    {%- set text = type_letters(column) -%}
    (
        {{ text }} like '%expansion%' or {{ text }} like '%upgrade%' or {{ text }} like '%upsell%'
        or {{ text }} like '%crosssell%' or {{ text }} like '%addon%'
    )
{%- endmacro %}


{#
    What a won opportunity does to the recurring revenue: its type, and a renewal by its name where the CRM's own type says
    no more than existing business (all that HubSpot's own list has), something else or nothing.
#}
{% macro to_contract_type(opportunity_type, told_type, opportunity_name, account_name) -%}
    case
        when
            coalesce({{ opportunity_type }}, 'other') in ('expansion', 'other')
            and not {{ says_expansion(told_type) }}
            and {{ is_named_renewal(opportunity_name, account_name) }} then 'renewal'
        else coalesce({{ opportunity_type }}, 'other')
    end
{%- endmacro %}


{#
    True where a form of "renew" is a word of the name, but not of the account's own name in it (ReNew Power), and not of
    a non-renewal or pre-renewal. Renewi and renewables are other words. Null without a name.
#}
{% macro is_named_renewal(opportunity_name, account_name) -%}
    {%- set words = "' ' || " ~ normalized_name(opportunity_name) ~ " || ' '" -%}
    {%- set account_words = "' ' || coalesce(" ~ normalized_name(account_name) ~ ", ' ') || ' '" -%}
    {%- set own_words = "replace(" ~ words ~ ", " ~ account_words ~ ", ' ')" -%}
    {%- set renewal = "renew(al|als|ed|ing)?" -%}
    {{ matches(replace_pattern(own_words, " (non|pre) " ~ renewal ~ " ", " "), ".* " ~ renewal ~ " .*") }}
{%- endmacro %}


{# The letters of a stage's name: `7. Closed - Won` -> `closedwon`. #}
{% macro stage_letters(column) -%}
    {{ replace_pattern("lower(" ~ column ~ ")", "[^a-z]+", "") }}
{%- endmacro %}


{# Stages that end an opportunity, by their names; null without a name. "Won't buy" (`wontbuy`) is not won. #}
{% macro is_won_stage(column) -%}
    ({{ stage_letters(column) }} in ('won', 'dealwon', 'opportunitywon') or {{ stage_letters(column) }} like 'closedwon%')
{%- endmacro %}


{% macro is_lost_stage(column) -%}
    (
        {{ stage_letters(column) }} like 'lost%' or {{ stage_letters(column) }} like 'closedlost%'
        or {{ stage_letters(column) }} in ('closednotwon', 'deallost', 'opportunitylost')
    )
{%- endmacro %}


{% macro is_closed_stage(column) -%}
    ({{ stage_letters(column) }} like 'closed%' or {{ is_won_stage(column) }} or {{ is_lost_stage(column) }})
{%- endmacro %}
