with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

int_customer_purchases as (

    select
        customer_id,
        count(distinct case when is_sale then order_id end) as order_count,
        count(distinct case when is_cancelled then order_id end) as cancelled_order_count,
        cast(sum(case when is_sale then quantity else 0 end) as bigint) as units_sold,
        cast(sum(case when is_return then quantity else 0 end) as bigint) as units_returned,
        min(case when is_sale then ordered_at end) as first_ordered_at,
        max(case when is_sale then ordered_at end) as last_ordered_at
    from order_lines
    where customer_id is not null
    group by customer_id

)

select * from int_customer_purchases
