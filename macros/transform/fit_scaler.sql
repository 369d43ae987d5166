{% macro fit_scaler(relation, columns, method='standard', where='true', time=none) -%}
    {%- if method not in ['standard', 'robust', 'min_max'] -%}
        {%- do exceptions.raise_compiler_error(
            "There is no scaler '" ~ method ~ "'. There are standard, robust and min_max."
        ) -%}
    {%- endif -%}
    {{ fit_numbers(relation, columns, method, where, time) }}
{%- endmacro %}
