{# Where another field is given, only the lift counts: the field itself has a row of its own. #}
{% macro weigh_agreement(rules, sharing_count) -%}
    case
        when {{ rules }}.given_field = 'none'
            then log2({{ rules }}.m_probability / coalesce(
                {{ rules }}.u_probability, ({{ sharing_count }} - 1) * {{ rules }}.u_per_customer
            ))
        else -log2({{ rules }}.u_lift)
    end
{%- endmacro %}
