{% macro assign_fold(key, fold_count) -%}
    {%- set key = [key] if key is string else key -%}
    mod(
        {{ convert_hex_to_integer('substring(' ~ generate_surrogate_key(key) ~ ', 1, 8)') }},
        {{ fold_count }}
    )
{%- endmacro %}
