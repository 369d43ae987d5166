{% macro find_favourites(orders, lines, products) -%}
    with currencies_ranked as (

        select
            customer_id,
            currency,
            sum(net_sales_amount) as net_sales_amount,
            count(*) over (partition by customer_id) as currency_count,
            row_number() over (
                partition by customer_id
                order by count(case when is_sale then 1 end) desc, currency
            ) as currency_rank
        from {{ orders }}
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
        from {{ orders }}
        where customer_id is not null and is_sale
        group by customer_id, channel

    ),

    categories_ranked as (

        select
            lines.customer_id,
            products.category,
            row_number() over (
                partition by lines.customer_id
                order by count(distinct lines.order_id) desc, products.category
            ) as category_rank
        from {{ lines }} as lines
        inner join {{ products }} as products on lines.product_id = products.product_id
        where
            lines.customer_id is not null
            and lines.is_sale
            and products.is_last_known
            and products.category is not null
        group by lines.customer_id, products.category

    )

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
{%- endmacro %}
