{# Entities and times of a spine for which features are computed, each once. #}
{% macro select_moments(spine, keys, time) -%}
    {%- set moment_us = convert_to_epoch_us('cast(' ~ time ~ ' as timestamp)') -%}
    select distinct
        {%- for key in keys %}
        {{ key }} as entity_{{ loop.index }},
        {%- endfor %}
        cast({{ time }} as timestamp) as moment_at,
        {{ moment_us }} as moment_us
    from {{ spine }}
    where
        {{ moment_us }} is not null
        {%- for key in keys %}
        and {{ key }} is not null
        {%- endfor %}
{%- endmacro %}
