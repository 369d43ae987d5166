{# Card schemes give a holder some four months; nearly all reports come within the first two. #}
{% macro fraud_label_maturity_days() -%}
    60
{%- endmacro %}
