{% macro explode_list(list, value, number) -%}
    {{ return(adapter.dispatch('explode_list')(list, value, number)) }}
{%- endmacro %}

{% macro default__explode_list(list, value, number) -%}
    unnest({{ list }}) as {{ value }},
    generate_subscripts({{ list }}, 1) as {{ number }}
{%- endmacro %}

{% macro spark__explode_list(list, value, number) -%}
    posexplode({{ list }}) as ({{ number }}, {{ value }})
{%- endmacro %}
