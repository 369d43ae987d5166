{# A first or last value of each moment, by its time. Of events at one time, arrival decides, and then the id. #}
{% macro look_up_value(aggregated, events, key_count, value) -%}
    select
        {%- for number in range(1, key_count + 1) %}
        aggregated.entity_{{ number }},
        {%- endfor %}
        aggregated.moment_us,
        {{ 'min_by' if value.agg == 'first' else 'max_by' }}(
            events.of_{{ value.of }}, {{ make_pair('events.known_us', 'events.event_id') }}
        ) as {{ value.feature }}
    from {{ aggregated }} as aggregated
    inner join {{ events }} as events
        on
            {%- for number in range(1, key_count + 1) %}
            {{ 'and ' if not loop.first }}aggregated.entity_{{ number }} = events.entity_{{ number }}
            {%- endfor %}
            and aggregated.{{ value.feature }} = events.event_us
            and aggregated.moment_us >= events.known_us
            {%- if value.where %}
            and events.counts_{{ value.feature }}
            {%- endif %}
            and events.of_{{ value.of }} is not null
    group by
        {%- for number in range(1, key_count + 1) %}
        aggregated.entity_{{ number }},
        {%- endfor %}
        aggregated.moment_us
{%- endmacro %}
