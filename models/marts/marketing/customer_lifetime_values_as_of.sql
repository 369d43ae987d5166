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

    {{ keep_known_customers('order_lines', customers='dim_customer') }}

),

purchases as (

    {{ measure_purchases('lines_of_known_customers', until='valuation_day') }}

),

customer_lifetime_values_as_of as (

    {{ score_customers('purchases', segments='rfm_segments') }}

)

select * from customer_lifetime_values_as_of
