{%- set attributes = [
    'referred_by_customer_id', 'gender', 'postcode_area', 'city', 'country', 'birth_year',
    'attributes', 'has_email', 'has_phone', 'has_marketing_consent',
] -%}

with customer_history as (

    select * from {{ ref('stg_crm__customer_history') }}

),

registrations_ranked as (

    select
        *,
        min(registered_known_at) over (partition by customer_id) as first_known_at,
        row_number() over (partition by customer_id order by change_number) as state_rank
    from customer_history
    where not is_deleted

),

-- A first load shows the last state alone. The customer was registered before, as it is unknown.
states_listed as (

    select
        customer_id,
        {%- for attribute in attributes %}
            {{ attribute }},
        {%- endfor %}
        registered_at,
        is_deleted,
        change_number,
        known_at
    from customer_history

    union all

    select
        customer_id,
        {%- for attribute in attributes %}
            null as {{ attribute }},
        {%- endfor %}
        registered_at,
        is_deleted,
        0 as change_number,
        first_known_at as known_at
    from registrations_ranked
    where state_rank = 1

),

dim_customer_as_known as (

    {{ build_known_versions(
        'states_listed', key='customer_id', attributes=attributes + ['registered_at']
    ) }}

)

select * from dim_customer_as_known
