{# On one line, as get_affected_filter_pattern takes it. #}
{% macro filter_affected_groups(key, groups) -%}
    {%- if is_incremental() -%}
    {%- set kept = [] -%}
    {%- for column in [key] + groups -%}
        {%- do kept.append(
            column ~ ' in (select ' ~ column ~ ' from ' ~ this.identifier ~ '__affected)'
        ) -%}
    {%- endfor -%}
    where {{ kept | join(' or ') }}
    {%- endif -%}
{%- endmacro %}
