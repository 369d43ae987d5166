{% macro weigh_agreements(fields) -%}
    log2({{ var('duplicate_share') }} / pairs_compared.customer_count)
    {%- for field in fields %}
    + coalesce(log2(
        {{ field }}_rules.match_share
        / coalesce(
            {{ field }}_rules.coincidence_share,
            pairs_compared.{{ field }}_count / pairs_compared.customer_count
        )
    ), 0)
    {%- endfor %}
{%- endmacro %}
