{% macro beginning_of_time() -%}
    cast('0001-01-01' as timestamp)
{%- endmacro %}

{% macro end_of_time() -%}
    cast('9999-12-31 23:59:59.999999' as timestamp)
{%- endmacro %}

{% macro unknown_key() -%}
    '00000000000000000000000000000000'
{%- endmacro %}

{% macro unknown_code() -%}
    'unknown'
{%- endmacro %}

{% macro no_currency() -%}
    'XXX'
{%- endmacro %}

{# Card schemes give a holder some four months; nearly all reports come within the first two. #}
{% macro fraud_label_maturity_days() -%}
    60
{%- endmacro %}
