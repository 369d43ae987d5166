{% macro hash_to_sign(term) -%}
    case when substring({{ dbt.hash(term) }}, 9, 1) < '8' then 1 else -1 end
{%- endmacro %}
