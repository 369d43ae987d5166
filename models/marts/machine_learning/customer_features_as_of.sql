{{ config(materialized='table_function', parameters=['on_day']) }}

with churn_states as (

    select * from {{ ref('churn_states').include(database=false) }}

),

customers as (

    select
        customer_id,
        {{ begin_business_day('cast(on_day as date)') }} as as_of
    from churn_states
    where valid_from <= cast(on_day as date) and cast(on_day as date) < valid_to

),

customer_features_as_of as (

    {{ leave_out_database(
        describe_customers_at('customers', columns=['customer_id', 'as_of'])
    ) }}

)

select * from customer_features_as_of
