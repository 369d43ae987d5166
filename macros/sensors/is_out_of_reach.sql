{% macro is_out_of_reach(value, at_us, last, last_at_us, next, next_at_us, largest_change_per_us, longest_us) -%}
    coalesce(
        {{ at_us }} - {{ last_at_us }} <= {{ longest_us }}
        and {{ next_at_us }} - {{ at_us }} <= {{ longest_us }}
        and abs({{ value }} - {{ last }})
        > {{ largest_change_per_us }} * ({{ at_us }} - {{ last_at_us }})
        and abs({{ next }} - {{ value }})
        > {{ largest_change_per_us }} * ({{ next_at_us }} - {{ at_us }}),
        false
    )
{%- endmacro %}
