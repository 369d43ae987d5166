with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

product_history as (

    select * from {{ ref('stg_shop__product_history') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

days_bounded as (

    select
        min(ordered_date) as first_date,
        max(ordered_date) as last_date
    from order_lines

),

sales_bounded as (

    select
        product_id,
        min(ordered_date) as first_ordered_date,
        max(ordered_date) as last_ordered_date
    from order_lines
    group by product_id

),

listings_bounded as (

    select
        product_id,
        cast(min(case when not is_deleted then changed_at end) as date) as first_listed_date,
        cast(max(case when is_deleted and is_latest then changed_at end) as date)
            as delisted_date
    from product_history
    group by product_id

),

-- From the first listing or sale to the removal from the list or the end of the data.
products_bounded as (

    select
        coalesce(sales_bounded.product_id, listings_bounded.product_id) as product_id,
        greatest(
            days_bounded.first_date,
            least(
                coalesce(sales_bounded.first_ordered_date, listings_bounded.first_listed_date),
                coalesce(listings_bounded.first_listed_date, sales_bounded.first_ordered_date)
            )
        ) as first_date,
        least(
            days_bounded.last_date,
            case
                when listings_bounded.delisted_date is null then days_bounded.last_date
                else
                    greatest(
                        listings_bounded.delisted_date,
                        coalesce(
                            sales_bounded.last_ordered_date, listings_bounded.delisted_date
                        )
                    )
            end
        ) as last_date
    from sales_bounded
    full outer join listings_bounded on sales_bounded.product_id = listings_bounded.product_id
    cross join days_bounded

),

-- The version that holds when a day begins holds for the whole day.
versions_bounded as (

    select
        products_bounded.product_id,
        dim_product.category,
        dim_product.list_price_currency,
        dim_product.list_price,
        coalesce(dim_product.is_deleted, false) as is_deleted,
        greatest(
            products_bounded.first_date,
            cast(
                coalesce(dim_product.valid_from, {{ beginning_of_time() }})
                + interval '1' day - interval '1' microsecond as date
            )
        ) as first_date,
        least(
            products_bounded.last_date,
            cast(
                coalesce(dim_product.valid_to, {{ end_of_time() }})
                - interval '1' microsecond as date
            )
        ) as last_date
    from products_bounded
    left join dim_product on products_bounded.product_id = dim_product.product_id

),

int_product_versions_bounded as (

    select
        product_id,
        category,
        list_price_currency,
        list_price,
        is_deleted,
        first_date,
        last_date
    from versions_bounded
    where first_date <= last_date

)

select * from int_product_versions_bounded
