{% macro collect_sorted(expression) -%}
    {{ return(adapter.dispatch('collect_sorted')(expression)) }}
{%- endmacro %}

{% macro default__collect_sorted(expression) -%}
    list({{ expression }} order by {{ expression }})
{%- endmacro %}

{% macro spark__collect_sorted(expression) -%}
    sort_array(collect_list({{ expression }}))
{%- endmacro %}
