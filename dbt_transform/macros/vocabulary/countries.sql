{#
    The countries that both CRMs sell to, with the other spellings that sales people type. A country that isn't listed
    keeps its spelling and has region `other`; add a line here to place it.
#}
{% macro to_country(column) -%}
    {%- set spellings_by_country = {
        "United States": ["united states", "united states of america", "usa", "us", "u.s.", "u.s.a.", "america"],
        "Canada": ["canada", "ca", "can"],
        "United Kingdom": ["united kingdom", "uk", "u.k.", "gb", "gbr", "great britain", "england", "scotland", "wales"],
        "Ireland": ["ireland", "ie", "irl"],
        "Germany": ["germany", "deutschland", "de", "deu", "ger"],
        "Austria": ["austria", "at", "aut", "österreich"],
        "Switzerland": ["switzerland", "ch", "che", "schweiz"],
        "France": ["france", "fr", "fra"],
        "Belgium": ["belgium", "be", "bel"],
        "Netherlands": ["netherlands", "the netherlands", "nl", "nld", "holland"],
        "Luxembourg": ["luxembourg", "lu"],
        "Spain": ["spain", "es", "esp", "españa"],
        "Portugal": ["portugal", "pt", "prt"],
        "Italy": ["italy", "it", "ita", "italia"],
        "Poland": ["poland", "pl", "pol"],
        "Czechia": ["czechia", "czech republic", "cz"],
        "Sweden": ["sweden", "se", "swe"],
        "Norway": ["norway", "no", "nor"],
        "Denmark": ["denmark", "dk", "dnk"],
        "Finland": ["finland", "fi", "fin"],
        "Romania": ["romania", "ro"],
        "Greece": ["greece", "gr"],
        "Australia": ["australia", "au", "aus"],
        "New Zealand": ["new zealand", "nz", "nzl"],
        "Japan": ["japan", "jp", "jpn"],
        "South Korea": ["south korea", "korea", "republic of korea", "kr", "kor"],
        "China": ["china", "cn", "chn"],
        "Hong Kong": ["hong kong", "hk"],
        "Taiwan": ["taiwan", "tw"],
        "India": ["india", "in", "ind"],
        "Singapore": ["singapore", "sg", "sgp"],
        "Malaysia": ["malaysia", "my"],
        "Indonesia": ["indonesia", "id", "idn"],
        "Thailand": ["thailand", "th"],
        "Vietnam": ["vietnam", "viet nam", "vn"],
        "Philippines": ["philippines", "ph"],
        "Mexico": ["mexico", "mx", "mex", "méxico"],
        "Brazil": ["brazil", "br", "bra", "brasil"],
        "Argentina": ["argentina", "ar", "arg"],
        "Chile": ["chile", "cl", "chl"],
        "Colombia": ["colombia", "co", "col"],
        "Peru": ["peru", "pe", "per", "perú"],
        "Uruguay": ["uruguay", "uy"],
        "Costa Rica": ["costa rica", "cr"],
    } -%}
    case
        {%- for country, spellings in spellings_by_country.items() %}
        when lower({{ column }}) in ('{{ spellings | join("', '") }}') then '{{ country }}'
        {%- endfor %}
        else {{ column }}
    end
{%- endmacro %}


{# `country`: what to_country gave. #}
{% macro to_region(country) -%}
    {%- set countries_by_region = {
        "north_america": ["United States", "Canada"],
        "europe": [
            "United Kingdom", "Ireland", "Germany", "Austria", "Switzerland", "France", "Belgium", "Netherlands",
            "Luxembourg", "Spain", "Portugal", "Italy", "Poland", "Czechia", "Sweden", "Norway", "Denmark", "Finland",
            "Romania", "Greece",
        ],
        "asia_pacific": [
            "Australia", "New Zealand", "Japan", "South Korea", "China", "Hong Kong", "Taiwan", "India", "Singapore",
            "Malaysia", "Indonesia", "Thailand", "Vietnam", "Philippines",
        ],
        "latin_america": [
            "Mexico", "Brazil", "Argentina", "Chile", "Colombia", "Peru", "Uruguay", "Costa Rica",
        ],
    } -%}
    case
        when {{ country }} is null then 'unknown'
        {%- for region, countries in countries_by_region.items() %}
        when {{ country }} in ('{{ countries | join("', '") }}') then '{{ region }}'
        {%- endfor %}
        else 'other'
    end
{%- endmacro %}
