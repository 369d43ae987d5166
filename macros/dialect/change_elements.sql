{% macro change_elements(list, expression) -%}
    {{ return(adapter.dispatch('change_elements')(list, expression)) }}
{%- endmacro %}

{% macro default__change_elements(list, expression) -%}
    list_transform({{ list }}, lambda element: {{ expression }})
{%- endmacro %}

{% macro spark__change_elements(list, expression) -%}
    transform({{ list }}, element -> {{ expression }})
{%- endmacro %}
