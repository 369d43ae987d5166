{% macro mask_age_to_band(column) -%}
    case
        when {{ column }} >= {{ var('oldest_age') }} then {{ var('oldest_age') }}
        when {{ column }} >= 0 then cast(floor({{ column }} / 10.0) * 10 as integer)
    end
{%- endmacro %}
