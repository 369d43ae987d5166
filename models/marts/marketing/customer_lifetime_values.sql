with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

rfm_segments as (

    select * from {{ ref('rfm_segments') }}

),

valuation_day as (

    select max(ordered_date) as as_of_date
    from order_lines

),

lines_of_known_customers as (

    {{ keep_known_customers('order_lines', customers='dim_customer') }}

),

purchases as (

    {{ measure_purchases('lines_of_known_customers', until='valuation_day') }}

),

customer_lifetime_values as (

    {{ score_customers('purchases', segments='rfm_segments') }}

)

select * from customer_lifetime_values
