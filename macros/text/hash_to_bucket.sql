{# md5, not the engine's own hash: what a model was trained on must be what it is asked with. #}
{% macro hash_to_bucket(term) -%}
    cast({{ read_hexadecimal('substring(' ~ dbt.hash(term) ~ ', 1, 8)') }}
    % {{ term_bucket_count() }} as integer)
{%- endmacro %}
