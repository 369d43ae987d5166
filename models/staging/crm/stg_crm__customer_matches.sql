{% set fields = ['person_name', 'email', 'phone', 'birth_date', 'address'] %}
{% set dependent_fields = list_dependent_fields() %}

with pairs_compared as (

    select * from {{ ref('stg_crm__customer_pairs') }}
    where not is_random

),

match_estimates as (

    select * from {{ ref('stg_crm__match_estimates') }}

),

estimated_share as (

    select max(duplicate_share) as duplicate_share
    from match_estimates

),

pairs_weighed as (

    select
        pairs_compared.customer_id,
        pairs_compared.other_customer_id,
        {% for field in fields -%}
            pairs_compared.{{ field }}_agreement,
        {% endfor -%}
        {{ weigh_agreements(fields, dependent_fields) }} as match_weight
    from pairs_compared
    cross join estimated_share
    {% for field in fields -%}
        left join match_estimates as {{ field }}_rules
            on
                coalesce(pairs_compared.{{ field }}_agreement, 'absent')
                = {{ field }}_rules.agreement
                and {{ field }}_rules.field = '{{ field }}'
                and {{ field }}_rules.given_field = 'none'
    {% endfor -%}
    {% for field, given_field in dependent_fields -%}
        {% set rules = field ~ '_given_' ~ given_field -%}
        left join match_estimates as {{ rules }}
            on
                pairs_compared.{{ field }}_agreement = {{ rules }}.agreement
                and {{ rules }}.field = '{{ field }}'
                and pairs_compared.{{ given_field }}_agreement = 'same'
                and {{ rules }}.given_field = '{{ given_field }}'
    {% endfor %}

),

stg_crm__customer_matches as (

    select
        customer_id,
        other_customer_id,
        {{ list_agreements(fields) }} as agreeing_fields,
        {{ list_differences(fields) }} as differing_fields,
        match_weight,
        1 / (1 + power(2, -match_weight)) as match_probability
    from pairs_weighed
    where 1 / (1 + power(2, -match_weight)) >= {{ var('duplicate_probability') }}

)

select * from stg_crm__customer_matches
