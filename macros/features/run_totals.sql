{# The totals of a key from each moment at which one changes. #}
{% macro run_totals(changes, key_count, values) -%}
    select
        {%- for number in range(1, key_count + 1) %}
        entity_{{ number }},
        {%- endfor %}
        {%- for value in values %}
        sum(count_{{ value.feature }}) over changes_so_far as count_{{ value.feature }},
        {%- if value.agg != 'count' %}
        sum(sum_{{ value.feature }}) over changes_so_far as sum_{{ value.feature }},
        {%- endif %}
        {%- endfor %}
        changes_us
    from {{ changes }}
    window changes_so_far as (
        partition by
            {%- for number in range(1, key_count + 1) %}
            entity_{{ number }}{{ ',' if not loop.last }}
            {%- endfor %}
        order by changes_us
        rows between unbounded preceding and current row
    )
{%- endmacro %}
