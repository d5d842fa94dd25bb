{#
    What is left of a company's name when everything that two people write differently is gone: case, accents, `&`,
    punctuation, a leading article, legal forms at the end. Null where nothing is left, or only a word that says "no name".
    A holding, a group or a branch is another company than its parent, so those words stay. Letters of other scripts stay.
#}
{% macro normalized_name(column) -%}
    {%- set legal_forms = [
        "inc", "incorporated", "llc", "l l c", "llp", "l l p", "lp", "ltd", "limited", "plc", "corp", "corporation", "co",
        "company", "pty", "pte", "pvt", "gmbh", "mbh", "ag", "kg", "kgaa", "ohg", "ug", "gbr", "se", "ek", "e k", "ev",
        "sa", "s a", "sas", "s a s", "sarl", "s a r l", "eurl", "srl", "s r l", "spa", "s p a", "sl", "s l", "slu",
        "bv", "b v", "bvba", "nv", "n v", "vof", "ab", "a b", "oy", "oyj", "as", "a s", "asa", "aps", "kft", "zrt",
        "sro", "s r o", "doo", "d o o", "sp z o o", "spzoo", "ltda", "lda", "eireli", "sa de cv", "s a de c v",
        "de cv", "kk", "k k", "bhd", "sdn bhd",
    ] -%}
    {%- set nothing = [
        "", "test", "unknown", "none", "no name", "tbd", "tba", "self", "self employed", "selfemployed", "freelance",
        "freelancer", "individual", "private", "personal", "company", "my company", "n a", "na",
    ] -%}
    {%- set plain = "replace(replace(" ~ without_accents("lower(" ~ column ~ ")") ~ ", '&', ' and '), '+', ' and ')" -%}
    {#- `S.A.` and `Sons'` are one word each; every other sign parts two. -#}
    {%- set joined = "replace(replace(replace(" ~ plain ~ ", '.', ''), chr(39), ''), chr(8217), '')" -%}
    {%- set spaced = "trim(" ~ replace_pattern(joined, "[[:punct:][:space:]]+", " ") ~ ")" -%}
    {%- set bare = replace_pattern(spaced, "(( and)? (" ~ legal_forms | join("|") ~ "))+$", "") -%}
    {%- set named = replace_pattern(bare, "^the ", "") -%}
    case when {{ named }} not in ('{{ nothing | join("', '") }}') then {{ named }} end
{%- endmacro %}


{# Latin letters without their accents. `text` is in lower case. #}
{% macro without_accents(text) -%}
    {%- set accented = "áàâäãåāăąçćčďđéèêëēėęěğíìîïīıłñńňóòôöõøōőŕřśšşșťțúùûüūůűýÿźżž" -%}
    {%- set letters = "aaaaaaaaacccddeeeeeeeegiiiiiilnnnoooooooorrssssttuuuuuuuyyzzz" -%}
    replace(replace(replace(translate({{ text }}, '{{ accented }}', '{{ letters }}'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')
{%- endmacro %}
