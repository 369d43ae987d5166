{% macro make_pair(first, second) -%}
    {{ return(adapter.dispatch('make_pair')(first, second)) }}
{%- endmacro %}

{% macro default__make_pair(first, second) -%}
    struct_pack(first := {{ first }}, second := {{ second }})
{%- endmacro %}

{% macro spark__make_pair(first, second) -%}
    named_struct('first', {{ first }}, 'second', {{ second }})
{%- endmacro %}
