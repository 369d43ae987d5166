{# A purpose holds no colon, so no two purposes and ids are ever written the same way. #}
{% macro pseudonymise(column, purpose, digits=32) -%}
    {%- set message = "'" ~ purpose ~ ":' || cast(" ~ column ~ " as " ~ dbt.type_string() ~ ")" -%}
    substring({{ hmac_sha256(get_pseudonym_key(), encode_utf8(message)) }}, 1, {{ digits }})
{%- endmacro %}
