{# A field that one of the two lacks is an agreement of its own. #}
{% macro add_absent_fields(rules, dependent_fields) -%}
    select
        field,
        agreement,
        'none' as given_field,
        known_count,
        pair_count,
        known_share,
        known_share * m_probability as m_probability,
        known_share * u_probability as u_probability
    from {{ rules }}

    union all

    select distinct
        field,
        'absent' as agreement,
        'none' as given_field,
        known_count,
        pair_count,
        known_share,
        1 - known_share as m_probability,
        1 - known_share as u_probability
    from {{ rules }}

    {%- for field, given_field in dependent_fields %}

        union all

        select
            field,
            agreement,
            '{{ given_field }}' as given_field,
            known_count,
            pair_count,
            known_share,
            cast(null as double) as m_probability,
            known_share * u_probability as u_probability
        from {{ rules }}
        where field = '{{ field }}'
    {%- endfor %}
{%- endmacro %}
