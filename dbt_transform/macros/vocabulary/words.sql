{#
    One case expression: the first word whose fragment occurs in the column's lower-case text, spaces and underscores
    alike. Order matters: what is more special comes first.
#}
{% macro first_word_found(column, words, otherwise) -%}
    case
        when {{ column }} is null then 'unknown'
        {%- for word, fragments in words %}
        when {% for fragment in fragments -%}
            replace(lower({{ column }}), '_', ' ') like '%{{ fragment }}%'{{ ' or ' if not loop.last }}
        {%- endfor %} then '{{ word }}'
        {%- endfor %}
        else '{{ otherwise }}'
    end
{%- endmacro %}


{# HubSpot's and Salesforce's industry pick lists, and what people type instead. #}
{% macro to_industry(column) -%}
    {{ first_word_found(column, [
        ("other", ["biotech", "pharma"]),
        ("software", ["software", "saas", "internet", "information technology", "computer", "technology"]),
        ("food_and_beverage", ["food", "beverage", "restaurant", "catering", "grocer"]),
        ("agriculture", ["agricult", "farm", "forestry", "dairy", "ranch", "fishery"]),
        ("public_sector", ["public", "government", "municipal", "city of", "county", "law enforcement", "military", "education"]),
        ("utilities", ["utilit", "energy", "electric", "water", "natural gas", "renewable", "telecom", "power"]),
        ("construction", ["construct", "building", "civil engineering", "contractor", "concrete", "architecture"]),
        ("field_services", ["field serv", "facilit", "hvac", "plumb", "pest", "landscap", "cleaning", "environmental", "maintenance", "repair", "security and investigations"]),
        ("logistics", ["logistic", "transport", "trucking", "freight", "shipping", "courier", "delivery", "warehous", "supply chain", "package", "maritime"]),
        ("retail", ["retail", "wholesale", "consumer goods", "apparel", "e-commerce", "ecommerce", "supermarket"]),
        ("unknown", ["unknown"]),
    ], "other") }}
{%- endmacro %}


{% macro to_vehicle_type(column) -%}
    {{ first_word_found(column, [
        ("mixed", ["mix", "various", "multiple", ",", "/", "+", "&", " and "]),
        ("vans", ["van"]),
        ("trucks", ["truck", "lorr", "hgv", "tractor", "semi", "pickup"]),
        ("heavy_equipment", ["heavy", "equipment", "excavat", "crane", "machinery"]),
        ("cars", ["car", "sedan", "suv"]),
    ], "unknown") }}
{%- endmacro %}


{# HubSpot's lifecycle stages; Salesforce's account types are read with the same words. #}
{% macro to_lifecycle_stage(column) -%}
    {{ first_word_found(column, [
        ("subscriber", ["subscriber"]),
        ("marketing_qualified_lead", ["marketingqualified", "marketing qualified", "mql"]),
        ("sales_qualified_lead", ["salesqualified", "sales qualified", "sql"]),
        ("opportunity", ["opportunity"]),
        ("customer", ["customer"]),
        ("evangelist", ["evangelist"]),
        ("lead", ["lead", "prospect"]),
        ("unknown", ["unknown"]),
    ], "other") }}
{%- endmacro %}


{% macro without_www(host) -%}
    case when {{ host }} like 'www.%' then substr({{ host }}, 5) else {{ host }} end
{%- endmacro %}


{#
    Two hosts of one owner, by their last labels: two of them, or three where the second last is a country's own
    (`acme.co.uk`) or a platform's on which everybody is a neighbour. Cheaper on millions of visits than the public
    suffix list, and the same whenever that is renewed; where it is in doubt, two owners.
#}
{% macro has_same_owner(host, other_host) -%}
    split_part({{ host }}, '.', -1) = split_part({{ other_host }}, '.', -1)
    and split_part({{ host }}, '.', -2) = split_part({{ other_host }}, '.', -2)
    and (
        split_part({{ host }}, '.', -3) = split_part({{ other_host }}, '.', -3)
        or not (
            (length(split_part({{ host }}, '.', -1)) = 2 and length(split_part({{ host }}, '.', -2)) <= 3)
            or split_part({{ host }}, '.', -2) in (
                'amazonaws', 'appspot', 'azurewebsites', 'blogspot', 'cloudfront', 'github', 'gitlab', 'herokuapp',
                'hs-sites', 'hubspotpagebuilder', 'myshopify', 'netlify', 'notion', 'pages', 'squarespace',
                'substack', 'tumblr', 'vercel', 'webflow', 'weebly', 'wixsite', 'wordpress'
            )
        )
    )
{%- endmacro %}


{#
    Marketing channel of a visit. Tagged links first, then the referring site, else the visitor came directly. A page that
    the same site led to is `internal`: the visit goes on, and nothing brought it. The same site: one of the hosts is the
    other or a part of it (`blog.fleet.example` of `www.fleet.example`), or both are parts of one owner's.

    `source`, `medium`, `host` (the referrer's) and `page_host`: columns in lower case, empty for none.
#}
{% macro to_channel(source, medium, host, page_host) -%}
    {%- set came_from = without_www(host) -%}
    {%- set came_to = without_www(page_host) -%}
    {%- set search = "(google|bing|duckduckgo|yahoo|baidu|ecosia|yandex)" -%}
    {%- set social = "(linkedin|facebook|instagram|twitter|youtube|tiktok|reddit|lnkd|meta|x)" -%}
    case
        when {{ medium }} = '' and {{ source }} = '' and {{ host }} = '' then 'direct'
        when
            {{ medium }} = '' and {{ source }} = '' and {{ page_host }} <> ''
            and (
                {{ came_from }} = {{ came_to }}
                or right({{ came_from }}, length({{ came_to }}) + 1) = '.' || {{ came_to }}
                or right({{ came_to }}, length({{ came_from }}) + 1) = '.' || {{ came_from }}
                or ({{ has_same_owner(page_host, host) }})
            )
            then 'internal'
        when {{ medium }} in ('email', 'e-mail', 'newsletter') or {{ source }} in ('email', 'newsletter') then 'email'
        when {{ medium }} in ('display', 'banner', 'cpm', 'retargeting', 'programmatic') then 'display'
        when {{ medium }} in ('paid_social', 'paid-social', 'paidsocial', 'social_paid') then 'paid_social'
        when {{ medium }} in ('cpc', 'ppc', 'paid', 'paid_search', 'paid-search', 'paidsearch', 'sem')
            then case when {{ matches(source, social ~ "([.].*)?") }} then 'paid_social' else 'paid_search' end
        when {{ medium }} in ('social', 'organic_social', 'social-organic', 'organic-social') then 'organic_social'
        when {{ medium }} in ('event', 'webinar', 'tradeshow', 'conference', 'offline') then 'event'
        when {{ medium }} in ('affiliate', 'partner', 'partners') then 'partner'
        when {{ medium }} in ('referral', 'review') then 'referral'
        when {{ medium }} in ('organic', 'organic_search', 'organic-search', 'seo') then 'organic_search'
        when {{ medium }} in ('none', '(none)', 'direct') or {{ source }} in ('direct', '(direct)') then 'direct'
        when {{ medium }} = '' and {{ matches(source, social ~ "([.].*)?") }} then 'organic_social'
        when {{ medium }} = '' and {{ matches(source, search ~ "([.].*)?") }} then 'organic_search'
        when {{ medium }} = '' and {{ matches(host, "(.*[.])?" ~ search ~ "[.].*") }} then 'organic_search'
        when {{ medium }} = '' and {{ matches(host, "(.*[.])?" ~ social ~ "[.].*") }} then 'organic_social'
        when {{ medium }} = '' and {{ source }} = '' then 'referral'
        else 'other'
    end
{%- endmacro %}


{# Pages that a buyer reads shortly before talking to sales. #}
{% macro is_high_intent(page_url) -%}
    {{ matches(
        "lower(coalesce(" ~ page_url ~ ", ''))",
        ".*/(pricing|prices|demo|request-demo|book-a-demo|book-demo|trial|free-trial|quote|get-a-quote|contact-sales|roi-calculator|compare|integrations)([/?#].*)?"
    ) }}
{%- endmacro %}


{# Mailbox providers: two companies that share one of these domains have nothing in common. #}
{% macro is_free_mail_domain(domain) -%}
    {{ domain }} in (
        'gmail.com', 'googlemail.com', 'yahoo.com', 'yahoo.co.uk', 'ymail.com', 'hotmail.com', 'hotmail.co.uk',
        'outlook.com', 'live.com', 'msn.com', 'icloud.com', 'me.com', 'mac.com', 'aol.com', 'gmx.com', 'gmx.de',
        'gmx.net', 'web.de', 't-online.de', 'mail.com', 'mail.ru', 'yandex.ru', 'yandex.com', 'proton.me',
        'protonmail.com', 'zoho.com', 'qq.com', '163.com', '126.com', 'orange.fr', 'wanadoo.fr', 'free.fr',
        'laposte.net', 'libero.it', 'comcast.net', 'verizon.net', 'att.net', 'sbcglobal.net', 'bellsouth.net',
        'hubspot.com', 'example.com', 'example.org', 'example.net', 'linkedin.com', 'facebook.com'
    )
{%- endmacro %}
