with orders as (

    select * from {{ ref('fct_orders') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

currencies_ranked as (

    select
        customer_id,
        currency,
        sum(net_sales_amount) as net_sales_amount,
        count(*) over (partition by customer_id) as currency_count,
        row_number() over (
            partition by customer_id
            order by count(case when is_sale then 1 end) desc, currency
        ) as currency_rank
    from orders
    where customer_id is not null and (is_sale or net_sales_amount is not null)
    group by customer_id, currency

),

channels_ranked as (

    select
        customer_id,
        channel,
        row_number() over (
            partition by customer_id
            order by count(*) desc, channel
        ) as channel_rank
    from orders
    where customer_id is not null and is_sale
    group by customer_id, channel

),

categories_ranked as (

    select
        order_lines.customer_id,
        dim_product.category,
        row_number() over (
            partition by order_lines.customer_id
            order by count(distinct order_lines.order_id) desc, dim_product.category
        ) as category_rank
    from order_lines
    inner join dim_product on order_lines.product_id = dim_product.product_id
    where
        order_lines.customer_id is not null
        and order_lines.is_sale
        and dim_product.is_last_known
        and dim_product.category is not null
    group by order_lines.customer_id, dim_product.category

),

int_customer_favourites as (

    select
        currencies_ranked.customer_id,
        channels_ranked.channel as favourite_channel,
        categories_ranked.category as favourite_category,
        currencies_ranked.currency,
        cast(currencies_ranked.net_sales_amount as decimal(18, 4))
            as main_currency_net_sales_amount,
        currencies_ranked.currency_count
    from currencies_ranked
    left join channels_ranked
        on
            currencies_ranked.customer_id = channels_ranked.customer_id
            and channels_ranked.channel_rank = 1
    left join categories_ranked
        on
            currencies_ranked.customer_id = categories_ranked.customer_id
            and categories_ranked.category_rank = 1
    where currencies_ranked.currency_rank = 1

)

select * from int_customer_favourites
