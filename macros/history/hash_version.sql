{% macro hash_version(key, changed_at) -%}
    {%- set epoch_us = 'cast(' ~ convert_to_epoch_us(changed_at) ~ ' as ' ~ dbt.type_string() ~ ')' -%}
    {{ hash_key([key, "coalesce(" ~ epoch_us ~ ", 'unknown')"]) }}
{%- endmacro %}
