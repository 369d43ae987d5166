{% macro term_bucket_count() -%}
    256
{%- endmacro %}
