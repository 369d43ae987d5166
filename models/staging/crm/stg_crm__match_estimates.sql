{{ config(materialized='table') }}

{% set fields = ['person_name', 'email', 'phone', 'birth_date', 'address'] %}

with pairs as (

    select * from {{ ref('stg_crm__customer_pairs') }}

),

match_rules as (

    select * from {{ ref('match_rules') }}

),

fields_compared as (

    {% for field in fields -%}
        select
            customer_id,
            other_customer_id,
            is_random,
            '{{ field }}' as field,
            {{ field }}_agreement as agreement,
            {{ leave_pair_out(field ~ '_count', 'customer_count') }} as value_share,
            customer_count
        from pairs
        where {{ field }}_agreement is not null
        {{- '\n\n        union all\n\n        ' if not loop.last }}
    {%- endfor %}

),

agreements_of_chance as (

    select
        field,
        agreement,
        count(*) as pair_count,
        sum(count(*)) over (partition by field) as field_pair_count
    from fields_compared
    where is_random
    group by field, agreement

),

-- The seed counts as so many pairs: it decides while there are few.
rules_by_chance as (

    select
        match_rules.field,
        match_rules.agreement,
        match_rules.m_probability,
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

),

candidates as (

    select
        fields_compared.customer_id,
        fields_compared.other_customer_id,
        fields_compared.field,
        fields_compared.agreement,
        coalesce(rules_by_chance.u_probability, fields_compared.value_share) as u_probability,
        fields_compared.customer_count
    from fields_compared
    inner join rules_by_chance
        on
            fields_compared.field = rules_by_chance.field
            and fields_compared.agreement = rules_by_chance.agreement
    where not fields_compared.is_random

),

rules_0 as (

    select
        field,
        agreement,
        m_probability,
        {{ var('duplicate_share') }} as duplicate_share
    from rules_by_chance

),

{% for round in range(1, var('match_rounds') + 1) -%}
    {{ 'rules_' ~ round }} as (

        {{ reestimate_agreements('candidates', 'rules_' ~ (round - 1), 'rules_0') }}

    ),

{% endfor -%}

stg_crm__match_estimates as (

    select
        rules_by_chance.field,
        rules_by_chance.agreement,
        rules.m_probability,
        rules_by_chance.u_probability,
        cast(rules.duplicate_share as double) as duplicate_share
    from rules_by_chance
    inner join rules_{{ var('match_rounds') }} as rules
        on
            rules_by_chance.field = rules.field
            and rules_by_chance.agreement = rules.agreement

)

select * from stg_crm__match_estimates
