{#
    Opportunities that the CRM calls neither new business nor renewal add up for ever. Two of them running in an account
    that has no renewal and no bill may be one contract, counted each year again: shown until someone mends their type.
#}
{{ config(severity="warn") }}

select
    account_id,
    count(*) as running_opportunities,
    sum(arr_usd) as running_arr_usd,
    'Do these won opportunities add up, or does the later one renew the earlier? Give renewals their type in the CRM '
    || '(or, where it says existing business or nothing, a name with the word "renewal"), or set '
    || 'GTM_ARR_CONTRACT_MONTHS.' as message
from (
    select
        account_id,
        arr_usd,
        started_on,
        ended_on,
        contract_type,
        max(case when contract_type in ('renewal', 'contraction') then 1 else 0 end) over (
            partition by account_id
        ) as has_renewal
    from {{ ref("int_arr_spans") }}
    where arr_source = 'opportunity' and is_matched
) as spans
where
    has_renewal = 0
    and contract_type in ('expansion', 'other')
    and arr_usd > 0
    and started_on <= {{ as_of_date() }}
    and (ended_on is null or ended_on > {{ as_of_date() }})
group by account_id
having count(*) > 1
