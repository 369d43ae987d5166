{{ config(materialized='table_function', parameters=['last_day']) }}

with order_lines as (

    select * from {{ ref('fct_order_lines').include(database=false) }}

),

dim_customer as (

    select * from {{ ref('dim_customer').include(database=false) }}

),

rfm_segments as (

    select * from {{ ref('rfm_segments').include(database=false) }}

),

valuation_day as (

    select cast(last_day as date) as as_of_date

),

lines_of_known_customers as (

    select order_lines.*
    from order_lines
    inner join dim_customer
        on
            order_lines.customer_id = dim_customer.customer_id
            and dim_customer.is_current
            and not dim_customer.is_deleted

),

purchases as (

    {{ measure_purchases('lines_of_known_customers', until='valuation_day') }}

),

customer_lifetime_values_as_of as (

    {{ score_customers('purchases', segments='rfm_segments') }}

)

select * from customer_lifetime_values_as_of
