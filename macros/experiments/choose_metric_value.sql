{# No event is a count or a sum of 0; an average of nothing is unknown. #}
{% macro choose_metric_value(metric, order_count, event_value) -%}
    case
        when {{ metric }} = 'orders' then cast({{ order_count }} as double)
        {%- for name, definition in var('experiment_metrics').items()
            if definition.aggregation in ['count', 'count_distinct', 'sum'] %}
        when {{ metric }} = '{{ name }}' then coalesce({{ event_value }}, 0)
        {%- endfor %}
        else {{ event_value }}
    end
{%- endmacro %}
