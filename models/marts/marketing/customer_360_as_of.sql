{{ config(materialized='table_function', parameters=['as_of']) }}

with order_changes as (

    select * from {{ ref('fct_order_status_changes').include(database=false) }}

),

line_changes as (

    select * from {{ ref('fct_order_line_changes').include(database=false) }}

),

customer_versions as (

    select * from {{ ref('dim_customer_as_known').include(database=false) }}

),

product_versions as (

    select * from {{ ref('dim_product_as_known').include(database=false) }}

),

segment_rules as (

    select * from {{ ref('segment_rules').include(database=false) }}

),

moment as (

    {{ bound_moment('cast(as_of as timestamp)', changes='order_changes') }}

),

orders_known as (

    select order_changes.*
    from order_changes
    inner join moment on {{ was_known_before('order_changes', at='moment.known_before') }}
    where not order_changes.is_deleted

),

lines_known as (

    select line_changes.*
    from line_changes
    inner join moment on {{ was_known_before('line_changes', at='moment.known_before') }}

),

customers_known as (

    select customer_versions.*
    from customer_versions
    inner join moment on {{ was_known_before('customer_versions', at='moment.known_before') }}
    where not customer_versions.is_deleted

),

products_known as (

    select
        product_versions.product_id,
        product_versions.category,
        row_number() over (
            partition by product_versions.product_id
            order by product_versions.valid_from desc
        ) = 1 as is_last_known
    from product_versions
    inner join moment on product_versions.valid_from < moment.known_before
    where not product_versions.is_deleted

),

purchases as (

    {{ count_purchases('orders_known', lines='lines_known') }}

),

favourites as (

    {{ find_favourites('orders_known', lines='lines_known', products='products_known') }}

),

customer_360_as_of as (

    {{ describe_customers(
        'customers_known',
        purchases='purchases',
        favourites='favourites',
        moment='moment',
        rules='segment_rules',
    ) }}

)

select * from customer_360_as_of
