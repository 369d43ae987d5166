with line_changes as (

    select * from {{ ref('fct_order_line_changes') }}

),

-- What was first known of a line. A later state of it is no other sale.
lines_ranked as (

    select
        *,
        row_number() over (partition by order_id, line_number order by valid_from) as state_rank
    from line_changes
    where is_sale and valid_from > {{ beginning_of_time() }}

),

int_lines_sold_listed as (

    select
        {{ generate_surrogate_key(['order_id', 'line_number']) }} as event_id,
        order_id,
        customer_id,
        product_id,
        currency,
        quantity,
        net_amount,
        100 * (
            cast(unit_price as double)
            / nullif(cast(avg(unit_price) over days_before as double), 0) - 1
        ) as price_change_pct,
        valid_from as happened_at
    from lines_ranked
    where state_rank = 1
    window days_before as (
        partition by product_id, currency order by valid_from
        range between interval '90' day preceding and interval '1' microsecond preceding
    )

)

select * from int_lines_sold_listed
