{#
    Revenue of which we don't know whose it is counts under `unmatched:`, and is shown here until someone mends the source.
#}
{{ config(severity="warn") }}

select
    arr_span_id,
    account_id,
    arr_source,
    arr_usd,
    started_on,
    ended_on,
    case
        when arr_source = 'billing'
            then 'No CRM has an account with the Salesforce id, HubSpot id or domain on this bill. '
        else 'The CRM names no account that we have for this won opportunity. '
    end || 'Name it there; the next build moves its revenue from ' || account_id || '.' as message
from {{ ref("int_arr_spans") }}
where not is_matched and arr_usd > 0
