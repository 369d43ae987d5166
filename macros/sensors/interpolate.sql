{% macro interpolate(at_us, last_value, last_at_us, next_value, next_at_us, longest_us) -%}
    case
        when {{ next_at_us }} - {{ last_at_us }} <= {{ longest_us }}
            then
                {{ last_value }} + ({{ next_value }} - {{ last_value }})
                * ({{ at_us }} - {{ last_at_us }}) / ({{ next_at_us }} - {{ last_at_us }})
        when
            {{ at_us }} - {{ last_at_us }} <= {{ longest_us }}
            and ({{ next_at_us }} is null or {{ next_at_us }} - {{ at_us }} > 86400000000)
            then {{ last_value }}
    end
{%- endmacro %}
