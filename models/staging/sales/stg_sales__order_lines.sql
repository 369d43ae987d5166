with order_lines as (

    {{ current_rows('sales.order_lines', key=['order_id', 'line_number']) }}

),

stg_sales__order_lines as (

    select
        order_id,
        line_number,
        product_id,
        quantity,
        unit_price,
        discount_amount,
        updated_at,
        _loaded_at,
        _is_backfill
    from order_lines

)

select * from stg_sales__order_lines
