{% macro name_unit_day(days=0) -%}
    {%- set day = dbt.dateadd('day', days, 'cast(read_at as date)') | trim -%}
    unit_id || ' ' || cast(cast({{ day }} as date) as {{ dbt.type_string() }})
{%- endmacro %}

{% macro name_unit_days() -%}
    {%- set named = [] -%}
    {%- for days in [-1, 0, 1] -%}
        {%- do named.append(name_unit_day(days) | replace('\n', ' ') | trim) -%}
    {%- endfor -%}
    {{ return(named) }}
{%- endmacro %}
