{#
    One repair: the host of an address or URL in lower case, without `www.`, port and path; null when it is none. Letters
    of every alphabet are fine, IP addresses are no host.
#}
{% macro parse_domain(column) -%}
    {%- set letter = "[^][ /@:?#.,;<>(){}=&%\"|]" -%}
    {%- set top = "[^][ /@:?#.,;<>(){}=&%\"|0-9-]" -%}
    {%- set pattern = "([a-z]+://)?([^/@ ]*@)?(www[.])?(" ~ letter ~ "+([.]" ~ letter ~ "+)*[.]" ~ top ~ letter ~ "+)[.]?(:[0-9]+)?([/?#].*)?" -%}
    {{ matched_group("lower(" ~ column ~ ")", pattern, 4) }}
{%- endmacro %}


{# The host of a URL that a browser wrote, in lower case; empty for none. Cheaper than parse_domain, which reads what people type. #}
{% macro host_of_url(column) -%}
    {%- set rest = "case when " ~ column ~ " like '%://%' then split_part(" ~ column ~ ", '://', 2) else " ~ column ~ " end" -%}
    {%- set host = "lower(split_part(split_part(split_part(" ~ rest ~ ", '/', 1), '?', 1), ':', 1))" -%}
    case when {{ column }} like '%.%' and {{ host }} like '%.%' then {{ host }} else '' end
{%- endmacro %}


{# A URL without what follows the page: queries and fragments carry addresses and tokens of the person who opened it. #}
{% macro url_without_query(column) -%}
    split_part(split_part({{ column }}, '?', 1), '#', 1)
{%- endmacro %}


{#
    CTEs that end in `registrable`, one row per host of the CTE `typed`: the domain that its owner registered, by the public
    suffix list (https://publicsuffix.org): `mail.acme.co.uk` -> `acme.co.uk`. The private section counts, since two
    customers of `github.io` are two owners. Null for a host that is a public suffix itself.

    The longest rule that matches a host's last labels wins, an exception before all; without one the suffix is one label.
#}
{% macro registrable_domains(columns) -%}
    {%- set most_labels = 7 -%}
hosts as (
    {%- for column in columns %}
    select distinct {{ column }}_host as host from typed
    where {{ column }}_host is not null
    {{ "union" if not loop.last }}
    {%- endfor %}
),

tails as (
    select
        host,
        length(host) - length(replace(host, '.', '')) + 1 as labels,
        split_part(host, '.', -1) as tail_1
        {%- for label in range(2, most_labels + 2) %},
        nullif(split_part(host, '.', -{{ label }}), '') || '.' || tail_{{ label - 1 }} as tail_{{ label }}
        {%- endfor %}
    from hosts
),

matched_rules as (
    {%- for label in range(1, most_labels + 1) %}
    select
        tails.host,
        rules.suffix_labels,
        rules.is_exception
    from tails
    inner join {{ source("raw", "public_suffixes") }} as rules
        on tails.tail_{{ label }} = rules.tail and tails.labels >= rules.suffix_labels
    {{ "union all" if not loop.last }}
    {%- endfor %}
),

host_suffixes as (
    select
        host,
        coalesce(max(case when is_exception then suffix_labels end), max(suffix_labels)) as suffix_labels
    from matched_rules
    group by host
),

registrable as (
    select
        tails.host,
        case coalesce(host_suffixes.suffix_labels, 1)
            {%- for label in range(1, most_labels + 1) %}
            when {{ label }} then tails.tail_{{ label + 1 }}
            {%- endfor %}
        end as registrable_domain
    from tails
    left join host_suffixes on tails.host = host_suffixes.host
),
{%- endmacro %}
