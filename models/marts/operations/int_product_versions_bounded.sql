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

listings_bounded as (

    select
        product_id,
        {{ business_date('min(case when not is_deleted then changed_at end)') }}
            as first_listed_date,
        {{ business_date('max(case when is_deleted and is_latest then changed_at end)') }}
            as delisted_date
    from product_history
    group by product_id

),

sale_days as (

    select
        product_id,
        ordered_date,
        lag(ordered_date) over (partition by product_id order by ordered_date)
            as previous_ordered_date
    from order_lines
    group by product_id, ordered_date

),

-- A pause longer than the life of a product begins another series of its days.
sale_days_in_series as (

    select
        product_id,
        ordered_date,
        previous_ordered_date,
        count(
            case
                when
                    ordered_date
                    > {{ add_days('previous_ordered_date', var('product_life_days')) }}
                    then 1
            end
        ) over (
            partition by product_id
            order by ordered_date
            rows between unbounded preceding and current row
        ) as series_number
    from sale_days

),

series_bounded as (

    select
        product_id,
        series_number,
        min(ordered_date) as first_ordered_date,
        max(ordered_date) as last_ordered_date,
        count(*) > count(previous_ordered_date) as is_first
    from sale_days_in_series
    group by product_id, series_number

),

-- From the first listing or sale to the removal from the list or the end of the data.
products_bounded as (

    select
        series_bounded.product_id,
        case
            when series_bounded.is_first
                then greatest(
                    days_bounded.first_date,
                    {{ add_days(
                        'series_bounded.first_ordered_date', '-' ~ var('product_life_days')
                    ) }},
                    least(
                        series_bounded.first_ordered_date,
                        coalesce(
                            listings_bounded.first_listed_date, series_bounded.first_ordered_date
                        )
                    )
                )
            else series_bounded.first_ordered_date
        end as first_date,
        least(
            days_bounded.last_date,
            {{ add_days('series_bounded.last_ordered_date', var('product_life_days')) }},
            greatest(
                coalesce(listings_bounded.delisted_date, days_bounded.last_date),
                series_bounded.last_ordered_date
            )
        ) as last_date
    from series_bounded
    left join listings_bounded on series_bounded.product_id = listings_bounded.product_id
    cross join days_bounded

),

-- The first version has no beginning, but before its first known change its price was not known.
versions_priced as (

    select
        product_id,
        category,
        list_price_currency,
        list_price,
        is_deleted,
        greatest(valid_from, changed_at) as valid_from,
        valid_to
    from dim_product

    union all

    select
        product_id,
        category,
        cast(null as varchar) as list_price_currency,
        cast(null as decimal(18, 4)) as list_price,
        is_deleted,
        valid_from,
        changed_at as valid_to
    from dim_product
    where valid_from < changed_at

),

-- The version that holds when a day begins holds for the whole day.
versions_bounded as (

    select
        products_bounded.product_id,
        versions_priced.category,
        versions_priced.list_price_currency,
        versions_priced.list_price,
        coalesce(versions_priced.is_deleted, false) as is_deleted,
        greatest(
            products_bounded.first_date,
            cast(
                coalesce(versions_priced.valid_from, {{ beginning_of_time() }})
                + interval '1' day - interval '1' microsecond as date
            )
        ) as first_date,
        least(
            products_bounded.last_date,
            cast(
                coalesce(versions_priced.valid_to, {{ end_of_time() }})
                - interval '1' microsecond as date
            )
        ) as last_date
    from products_bounded
    left join versions_priced on products_bounded.product_id = versions_priced.product_id

),

int_product_versions_bounded as (

    select * from versions_bounded
    where first_date <= last_date

)

select * from int_product_versions_bounded
