{# A purpose holds no colon, so no two purposes and ids are ever written the same way. #}
{% macro pseudonymise(column, purpose, digits=32) -%}
    {%- set message = "'" ~ purpose ~ ":' || cast(" ~ column ~ " as " ~ dbt.type_string() ~ ")" -%}
    substring({{ hmac_sha256(get_pseudonym_key(), encode_utf8(message)) }}, 1, {{ digits }})
{%- endmacro %}

{% macro say_no_pseudonym_key() -%}
    No key for pseudonyms: set ML_WAREHOUSE_PSEUDONYM_KEY. Make one, and keep it where secrets are kept: python -c "import secrets; print(secrets.token_hex(32))"
{%- endmacro %}
