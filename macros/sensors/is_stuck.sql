{#
    Of a run of one value from began to ended. Others of the unit go on if one of them changed not
    longer ago than the value would have to stand still; where there is no other, it is stuck too.
#}
{% macro is_stuck(at_us, began_at_us, ended_at_us, stuck_us, others) -%}
    coalesce({{ ended_at_us }} - {{ began_at_us }} >= {{ stuck_us }}, false)
    and (
        coalesce({{ others | join(', ') }}) is null
        {%- for other in others %}
        or coalesce({{ at_us }} - {{ other }} <= {{ stuck_us }}, false)
        {%- endfor %}
    )
{%- endmacro %}
