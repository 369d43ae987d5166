{% macro encode_frequency(column, categories) -%}
    case
        when {{ column }} is not null
            then coalesce({{ find_category('share', column, categories) }}, 0)
    end
{%- endmacro %}
