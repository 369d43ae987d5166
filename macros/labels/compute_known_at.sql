{% macro compute_known_at(event_at, delay_days=0, relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    case
        when {{ prefix }}_is_backfill
            then {{ dbt.dateadd('day', delay_days, event_at) }}
        else greatest({{ event_at }}, {{ prefix }}_loaded_at)
    end
{%- endmacro %}
