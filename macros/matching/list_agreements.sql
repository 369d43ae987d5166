{% macro list_agreements(fields) -%}
    concat_ws(
        ', '
        {%- for field in fields %},
        case
            when {{ field }}_agreement = 'same' then '{{ field }}'
            when {{ field }}_agreement <> 'different'
                then '{{ field }} (' || {{ field }}_agreement || ')'
        end
        {%- endfor %}
    )
{%- endmacro %}
