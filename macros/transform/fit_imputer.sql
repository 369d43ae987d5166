{% macro fit_imputer(relation, columns, where='true', time=none) -%}
    {{ fit_numbers(relation, columns, 'median', where, time) }}
{%- endmacro %}
