{% macro build_map(key, value) -%}
    {{ return(adapter.dispatch('build_map')(key, value)) }}
{%- endmacro %}

{% macro default__build_map(key, value) -%}
    map_from_entries(list(struct_pack(key := {{ key }}, value := {{ value }}) order by {{ key }}))
{%- endmacro %}

{% macro spark__build_map(key, value) -%}
    map_from_entries(sort_array(collect_list(struct({{ key }}, {{ value }}))))
{%- endmacro %}
