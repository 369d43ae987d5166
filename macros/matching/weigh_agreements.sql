{# The m-probability over the u-probability of an agreement is its weight. #}
{% macro weigh_agreements(fields) -%}
    log2(estimated_share.duplicate_share / pairs_compared.customer_count)
    {%- for field in fields %}
    + coalesce(log2(
        {{ field }}_rules.m_probability
        / coalesce(
            {{ field }}_rules.u_probability,
            {{ leave_pair_out(
                'pairs_compared.' ~ field ~ '_count', 'pairs_compared.customer_count'
            ) }}
        )
    ), 0)
    {%- endfor %}
{%- endmacro %}
