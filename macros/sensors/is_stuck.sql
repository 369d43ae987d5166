{% macro is_stuck(at_us, began_at_us, ended_at_us, stuck_us, others) -%}
    coalesce({{ ended_at_us }} - {{ began_at_us }} >= {{ stuck_us }}, false)
    and (
        not ({{ others | map(attribute='is_there') | join(' or ') }})
        {%- for other in others %}
        or coalesce(
            {{ other.began_at_us }} > greatest({{ began_at_us }}, {{ at_us }} - {{ stuck_us }}), false
        )
        or coalesce(
            {{ other.ended_at_us }} < least({{ ended_at_us }}, {{ at_us }} + {{ stuck_us }}), false
        )
        {%- endfor %}
    )
{%- endmacro %}
