{% macro hash_rows(relation) -%}
    {{ return(adapter.dispatch('hash_rows')(relation)) }}
{%- endmacro %}

{% macro default__hash_rows(relation) -%}
    md5(string_agg(cast({{ relation }} as varchar), ';' order by cast({{ relation }} as varchar)))
{%- endmacro %}

{% macro spark__hash_rows(relation) -%}
    md5(concat_ws(';', array_sort(collect_list(to_json(struct({{ relation }}.*))))))
{%- endmacro %}
