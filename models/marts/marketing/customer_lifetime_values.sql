with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

rfm_segments as (

    select * from {{ ref('rfm_segments') }}

),

valuation_day as (

    select {{ business_date('max(valid_from)') }} as as_of_date
    from order_changes

),

lines_of_known_customers as (

    select order_lines.*
    from order_lines
    inner join dim_customer on order_lines.customer_id = dim_customer.customer_id
    where dim_customer.is_current and not dim_customer.is_deleted

),

purchases as (

    {{ measure_purchases('lines_of_known_customers', until='valuation_day') }}

),

customer_lifetime_values as (

    {{ score_customers('purchases', segments='rfm_segments') }}

)

select * from customer_lifetime_values
