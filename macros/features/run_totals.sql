{# Features of each moment: the total of what entered up to the moment, less that of what left the feature's window. #}
{% macro run_totals(moments, placed, key_count, measures, values, windows_us) -%}
    with totals as (

        select
            {%- for number in range(1, key_count + 1) %}
            moments.entity_{{ number }},
            {%- endfor %}
            {%- for value in values %}
            {%- set change = windows_us.index(value.window_us) + 1 if value.window_us is not none else 0 -%}
            {%- for measure in measures if value.feature in measure.features %}
            {%- for kind in ['count'] + (['sum'] if measure.of else []) %}
            {%- set column = 'placed.' ~ measure.name ~ '_' ~ kind ~ '_' %}
            sum(
                coalesce({{ column }}0, 0){{ ' - coalesce(' ~ column ~ change ~ ', 0)' if change }}
            ) over moments_so_far as {{ kind }}_of_{{ value.feature }},
            {%- endfor %}
            {%- endfor %}
            {%- endfor %}
            moments.moment_us
        from {{ moments }} as moments
        left join {{ placed }} as placed
            on
                moments.moment_us = placed.moment_us
                {%- for number in range(1, key_count + 1) %}
                and moments.entity_{{ number }} = placed.entity_{{ number }}
                {%- endfor %}
        window moments_so_far as (
            partition by
                {%- for number in range(1, key_count + 1) %}
                moments.entity_{{ number }}{{ ',' if not loop.last }}
                {%- endfor %}
            order by moments.moment_us
            rows between unbounded preceding and current row
        )

    )

    select
        {%- for number in range(1, key_count + 1) %}
        entity_{{ number }},
        {%- endfor %}
        {%- for value in values %}
        {%- set counted, total = 'count_of_' ~ value.feature, 'sum_of_' ~ value.feature %}
        {% if value.agg == 'count' -%}
        {{ counted }}
        {%- elif value.agg == 'sum' -%}
        case when {{ counted }} > 0 then {{ total }} end
        {%- else -%}
        cast({{ total }} as double) / nullif({{ counted }}, 0)
        {%- endif %} as {{ value.feature }},
        {%- endfor %}
        moment_us
    from totals
{%- endmacro %}
