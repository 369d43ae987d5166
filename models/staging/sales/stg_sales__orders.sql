with orders as (

    {{ current_rows('sales.orders', key='order_id') }}

),

stg_sales__orders as (

    select
        order_id,
        customer_id,
        status as order_status,
        channel,
        ship_country,
        currency,
        ordered_at,
        updated_at,
        _loaded_at,
        _is_backfill
    from orders

)

select * from stg_sales__orders
