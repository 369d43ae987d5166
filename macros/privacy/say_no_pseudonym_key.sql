{% macro say_no_pseudonym_key() -%}
    No key for pseudonyms: set ML_WAREHOUSE_PSEUDONYM_KEY. Make one, and keep it where secrets are kept: python -c "import secrets; print(secrets.token_hex(32))"
{%- endmacro %}
