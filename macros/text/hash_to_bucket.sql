{# md5, not the engine's own hash: what a model was trained on must be what it is asked with. #}
{% macro hash_to_bucket(term) -%}
    cast({{ convert_hex_to_integer('substring(' ~ dbt.hash(term) ~ ', 1, 8)') }}
    % {{ var('term_bucket_count') }} as integer)
{%- endmacro %}
