{# On one line, as the pattern below takes it. #}
{% macro filter_affected_keys(key, touches=none) -%}
    {%- if key is not none and is_incremental() -%}
    {%- set kept = [] -%}
    {%- for expression in touches or [key] -%}
        {%- do kept.append(
            expression ~ ' in (select ' ~ key ~ ' from ' ~ this.identifier ~ '__affected)'
        ) -%}
    {%- endfor -%}
    where {{ kept | join(' or ') }}
    {%- endif -%}
{%- endmacro %}

{# The clause above as a regular expression: full and incremental builds have one definition. #}
{% macro get_affected_filter_pattern() -%}
    {{ return('where [^\\n]+ in \\(select \\w+ from ' ~ this.identifier ~ '__affected\\)') }}
{%- endmacro %}
