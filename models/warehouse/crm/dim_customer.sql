{%- set attributes = [
    'referred_by_customer_id', 'gender', 'postcode_area', 'city', 'country', 'birth_year',
    'attributes', 'has_email', 'has_phone', 'has_marketing_consent', 'registered_at',
] -%}

with customer_history as (

    select * from {{ ref('stg_crm__customer_history') }}

),

customer_versions as (

    {{ build_scd2('customer_history', key='customer_id', attributes=attributes) }}

),

known_customers as (

    select
        *,
        {{ generate_version_key('customer_id', 'changed_at') }} as customer_key
    from customer_versions

),

dim_customer as (

    {{ append_unknown_member('known_customers', columns=['customer_key', 'customer_id']
        + attributes + ['is_deleted', 'is_current', 'valid_from', 'valid_to']) }}

)

select * from dim_customer
