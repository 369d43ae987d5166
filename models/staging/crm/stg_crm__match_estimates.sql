{{ config(materialized='table') }}

{% set fields = ['person_name', 'email', 'phone', 'birth_date', 'address'] %}
{% set dependent_fields = list_dependent_fields() %}

with pairs as (

    select * from {{ ref('stg_crm__customer_pairs') }}

),

-- Pairs that agree in the same way count the same; the first of them names the way.
patterns as (

    select
        * exclude (customer_id, other_customer_id),
        min((customer_id, other_customer_id)) as pattern,
        count(*) as pairs_alike
    from pairs
    group by all

),

match_rules as (

    select * from {{ ref('match_rules') }}

),

fields_compared as (

    {% for field in fields -%}
        select
            pattern,
            pairs_alike,
            is_random,
            '{{ field }}' as field,
            coalesce({{ field }}_agreement, 'absent') as agreement,
            'none' as given_field,
            {{ field }}_count as sharing_count,
            {{ field }}_known_count as known_count,
            {{ field }}_pair_count as pair_count,
            customer_count
        from patterns

        union all

    {% endfor -%}
    {% for field, given_field in dependent_fields -%}
        select
            pattern,
            pairs_alike,
            is_random,
            '{{ field }}' as field,
            {{ field }}_agreement as agreement,
            '{{ given_field }}' as given_field,
            {{ field }}_count as sharing_count,
            {{ field }}_known_count as known_count,
            {{ field }}_pair_count as pair_count,
            customer_count
        from patterns
        where
            not is_random
            and {{ given_field }}_agreement = 'same'
            and {{ field }}_agreement is not null
        {{- '\n\n        union all\n\n        ' if not loop.last }}
    {%- endfor %}

),

agreements_of_chance as (

    select
        field,
        agreement,
        sum(pairs_alike) as pair_count,
        sum(sum(pairs_alike)) over (partition by field) as field_pair_count
    from fields_compared
    where is_random and agreement <> 'absent'
    group by field, agreement

),

-- Two people both have a field as often as any two customers do.
fields_counted as (

    select
        field,
        max(known_count) as known_count,
        max(pair_count) as pair_count,
        power(max(known_count) / max(customer_count), 2) as known_share
    from fields_compared
    group by field

),

-- The seed counts as so many pairs: it decides while there are few.
rules_by_chance as (

    select
        match_rules.field,
        match_rules.agreement,
        match_rules.m_probability,
        coalesce(fields_counted.known_count, 0) as known_count,
        coalesce(fields_counted.pair_count, 0) as pair_count,
        coalesce(fields_counted.known_share, 1) as known_share,
        case
            when match_rules.u_probability is not null
                then (
                    coalesce(agreements_of_chance.pair_count, 0)
                    + {{ var('match_prior_random_pairs') }} * match_rules.u_probability
                ) / (
                    coalesce(
                        max(agreements_of_chance.field_pair_count) over (
                            partition by match_rules.field
                        ), 0
                    ) + {{ var('match_prior_random_pairs') }}
                )
        end as u_probability
    from match_rules
    left join agreements_of_chance
        on
            match_rules.field = agreements_of_chance.field
            and match_rules.agreement = agreements_of_chance.agreement
    left join fields_counted on match_rules.field = fields_counted.field

),

rules_of_all_pairs as (

    {{ add_absent_fields('rules_by_chance', dependent_fields) }}

),

candidates as (

    select * from fields_compared
    where not is_random

),

rules_0 as (

    select
        field,
        agreement,
        given_field,
        m_probability,
        u_probability,
        known_share / greatest(known_count - 1, 1) as u_per_customer,
        1 as u_lift,
        {{ var('duplicate_share') }} as duplicate_share
    from rules_of_all_pairs

),

{% for round in range(1, var('match_rounds') + 1) -%}
    {{ 'rules_' ~ round }} as (

        {{ reestimate_agreements('candidates', 'rules_' ~ (round - 1), 'rules_of_all_pairs') }}

    ),

{% endfor -%}

stg_crm__match_estimates as (

    select
        field,
        agreement,
        given_field,
        m_probability,
        u_probability,
        cast(u_per_customer as double) as u_per_customer,
        cast(u_lift as double) as u_lift,
        cast(duplicate_share as double) as duplicate_share
    from rules_{{ var('match_rounds') }}

)

select * from stg_crm__match_estimates
