{# The changes between a moment and the one before it, summed: one row per entity and moment that sees a change. #}
{% macro place_changes(moments, changes, key_count, measures, change_count) -%}
    select
        {%- for number in range(1, key_count + 1) %}
        moments.entity_{{ number }},
        {%- endfor %}
        {%- for measure in measures %}
        {%- for change in range(change_count) %}
        {%- set counted = 'filter (where changes.change_number = ' ~ change ~ ' and changes.' ~ measure.name ~ '_counts)' %}
        count(*) {{ counted }} as {{ measure.name }}_count_{{ change }},
        {%- if measure.of %}
        sum(changes.{{ measure.name }}_value) {{ counted }} as {{ measure.name }}_sum_{{ change }},
        {%- endif %}
        {%- endfor %}
        {%- endfor %}
        moments.moment_us
    from {{ changes }} as changes
    asof inner join {{ moments }} as moments
        on
            {%- for number in range(1, key_count + 1) %}
            {{ 'and ' if not loop.first }}changes.entity_{{ number }} = moments.entity_{{ number }}
            {%- endfor %}
            and changes.changes_us <= moments.moment_us
    group by
        {%- for number in range(1, key_count + 1) %}
        moments.entity_{{ number }},
        {%- endfor %}
        moments.moment_us
{%- endmacro %}
