{{ config(materialized='table_function', parameters=['last_day']) }}

with order_changes as (

    select * from {{ ref('fct_order_status_changes').include(database=false) }}

),

line_changes as (

    select * from {{ ref('fct_order_line_changes').include(database=false) }}

),

customer_versions as (

    select * from {{ ref('dim_customer_as_known').include(database=false) }}

),

rfm_segments as (

    select * from {{ ref('rfm_segments').include(database=false) }}

),

moment as (

    {{ bound_moment(
        begin_business_day(add_days('cast(last_day as date)', '1')), changes='order_changes'
    ) }}

),

valuation_day as (

    select cast(last_day as date) as as_of_date

),

lines_of_known_customers as (

    select line_changes.*
    from line_changes
    inner join moment on {{ was_known_before('line_changes', at='moment.known_before') }}
    inner join customer_versions
        on
            line_changes.customer_id = customer_versions.customer_id
            and {{ was_known_before('customer_versions', at='moment.known_before') }}
    where not customer_versions.is_deleted

),

purchases as (

    {{ measure_purchases('lines_of_known_customers', until='valuation_day') }}

),

customer_lifetime_values_as_of as (

    {{ score_customers('purchases', segments='rfm_segments') }}

)

select * from customer_lifetime_values_as_of
