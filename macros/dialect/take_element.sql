{% macro take_element(list, place) -%}
    {{ return(adapter.dispatch('take_element')(list, place)) }}
{%- endmacro %}

{% macro default__take_element(list, place) -%}
    list_extract({{ list }}, {{ place }})
{%- endmacro %}

{% macro spark__take_element(list, place) -%}
    element_at({{ list }}, {{ place }})
{%- endmacro %}
