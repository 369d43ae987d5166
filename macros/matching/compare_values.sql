{# Of the two records `one` and `peer`; the first agreement that holds counts. #}
{% macro compare_values(field, agreements={}) -%}
    case
        when one.{{ field }} = peer.{{ field }} then 'same'
        {%- for agreement, condition in agreements.items() %}
        when {{ condition }} then '{{ agreement }}'
        {%- endfor %}
        when one.{{ field }} <> peer.{{ field }} then 'different'
    end
{%- endmacro %}
