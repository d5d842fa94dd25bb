{{ config(materialized="view") }}

select * from {{ ref("quarantine_hubspot") }}
union all
select * from {{ ref("quarantine_salesforce") }}
union all
select * from {{ ref("quarantine_billing") }}
