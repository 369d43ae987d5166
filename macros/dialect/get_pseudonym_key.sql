{% macro get_pseudonym_key() -%}
    {{ return(adapter.dispatch('get_pseudonym_key')()) }}
{%- endmacro %}

{# A variable of the session, set by flows/warehouse/lake_plugin.py: SQL and logs hold its name alone. #}
{% macro default__get_pseudonym_key() -%}
    cast(coalesce(
        getvariable('pseudonym_key'),
        error(
            'No key for pseudonyms: set ML_WAREHOUSE_PSEUDONYM_KEY. '
            || 'Make one, and keep it where secrets are kept: '
            || 'python -c "import secrets; print(secrets.token_hex(32))"'
        )
    ) as blob)
{%- endmacro %}

{% macro get_pseudonym_key_fingerprint() -%}
    {{ return(adapter.dispatch('get_pseudonym_key_fingerprint')()) }}
{%- endmacro %}

{% macro default__get_pseudonym_key_fingerprint() -%}
    {%- if not execute -%}{{ return('') }}{%- endif -%}
    {%- set found = run_query("select coalesce(getvariable('pseudonym_key_fingerprint'), '')") -%}
    {{ return(found.columns[0].values()[0]) }}
{%- endmacro %}
