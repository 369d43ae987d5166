{% macro list_differences(fields) -%}
    concat_ws(
        ', '
        {%- for field in fields %},
        case when {{ field }}_agreement = 'different' then '{{ field }}' end
        {%- endfor %}
    )
{%- endmacro %}
