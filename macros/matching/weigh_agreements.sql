{# The m-probability over the u-probability of an agreement is its weight. #}
{% macro weigh_agreements(fields, dependent_fields=[]) -%}
    log2(estimated_share.duplicate_share / pairs_compared.customer_count)
    {%- for field in fields %}
    + coalesce({{ weigh_agreement(field ~ '_rules', 'pairs_compared.' ~ field ~ '_count') }}, 0)
    {%- endfor %}
    {%- for field, given_field in dependent_fields %}
    - coalesce(log2({{ field }}_given_{{ given_field }}.u_lift), 0)
    {%- endfor %}
{%- endmacro %}
