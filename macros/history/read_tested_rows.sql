{# The history of a source holds earlier states and tombstones, which a test of what it holds now leaves out. #}
{% macro read_tested_rows(relation, rows_of=none) -%}
    {%- if rows_of is none -%}
        {{ relation }}
    {%- elif not execute -%}
        {{ source(*rows_of.split('.')) }}
    {%- else -%}
        (
            {{ current_rows(rows_of, key=none) }}
        ) as tested_rows
    {%- endif -%}
{%- endmacro %}
