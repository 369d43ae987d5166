{% macro hash_row(relation) -%}
    {{ return(adapter.dispatch('hash_row')(relation)) }}
{%- endmacro %}

{# Half of the hash: a sum of such hashes has no sign to watch. #}
{% macro default__hash_row(relation) -%}
    cast(hash({{ relation }}) // 2 as bigint)
{%- endmacro %}

{% macro spark__hash_row(relation) -%}
    (xxhash64(to_json(struct({{ relation }}.*))) & 9223372036854775807)
{%- endmacro %}
