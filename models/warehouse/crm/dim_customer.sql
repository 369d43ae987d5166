with customer_history as (

    select * from {{ ref('stg_crm__customer_history') }}

),

customer_versions as (

    {{ build_scd2('customer_history', key='customer_id', attributes=[
        'referred_by_customer_id', 'gender', 'postcode_area', 'city', 'country', 'birth_year',
        'has_email', 'has_phone', 'has_marketing_consent', 'registered_at',
    ]) }}

),

known_customers as (

    select
        {{ generate_version_key('customer_id', 'changed_at') }} as customer_key,
        customer_id,
        referred_by_customer_id,
        gender,
        postcode_area,
        city,
        country,
        birth_year,
        has_email,
        has_phone,
        has_marketing_consent,
        is_deleted,
        is_current,
        registered_at,
        valid_from,
        valid_to
    from customer_versions

),

unknown_customer as (

    select
        {{ unknown_key() }} as customer_key,
        null as customer_id,
        null as referred_by_customer_id,
        null as gender,
        null as postcode_area,
        null as city,
        null as country,
        null as birth_year,
        null as has_email,
        null as has_phone,
        null as has_marketing_consent,
        false as is_deleted,
        true as is_current,
        null as registered_at,
        {{ beginning_of_time() }} as valid_from,
        {{ end_of_time() }} as valid_to

),

dim_customer as (

    select * from known_customers
    union all
    select * from unknown_customer

)

select * from dim_customer
