-- Every product up to the clock's day, including those that the shop does not show yet.
create table products as

with launched as (

    select
        product_number,
        -1 - 240 * (products_by(-1) - 1 - product_number) // products_by(-1) as launched_day_number
    from range(0, products_by(-1)) as numbers (product_number)

    union all

    select
        unnest(range(products_by(day_number - 1), products_by(day_number))) as product_number,
        day_number as launched_day_number
    from calendar

),

drawn as (

    select
        *,
        bits_of('product', product_number) as product_bits,
        bits_of('launch', product_number) as launch_bits
    from launched

),

products as (

    select
        drawn.product_number,
        draw_from(drawn.product_bits, 2, getvariable('brands'))
        || ' ' || product_kinds.title
        || ', ' || draw_from(drawn.product_bits, 1, product_kinds.packs) as title,
        product_kinds.category,
        draw_from(drawn.product_bits, 2, getvariable('brands')) as brand,
        (
            product_kinds.lowest_cents
            + draw(
                drawn.product_bits, 3, product_kinds.highest_cents - product_kinds.lowest_cents
            )
        ) // 10 * 10 + 9 as launch_price_cents,
        product_kinds.is_prescription_only,
        draw(drawn.launch_bits, 2, 1000) < 20 as has_no_brand,
        draw(drawn.launch_bits, 3, 1000) < 10 as has_no_prescription_flag,
        drawn.launched_day_number,
        -- A late-arriving product may appear after its first sale.
        drawn.launched_day_number
        + days_late(draw(drawn.launch_bits, 1, 1000), 150, 0) as launch_shown_day_number,
        moment(
            drawn.launched_day_number, 21600 + draw(drawn.launch_bits, 0, 36000)
        ) as launched_at
    from drawn
    inner join product_kinds -- noqa: AL04
        on product_kinds.kind_number = drawn.product_number % (select count(*) from product_kinds)

)

select * from products;

-- One row per product and month, with the price before and after a change. A product changes at
-- most once a month, on one of its first 18 days. So a change never appears before an older one,
-- even if that one is late-arriving.
create table product_months as

with months as (

    select distinct
        month_number,
        month_first_day_number
    from calendar

),

drawn as (

    select
        products.product_number,
        products.launch_price_cents,
        products.launched_day_number,
        months.month_number,
        months.month_first_day_number,
        bits_of('change', products.product_number || '/' || months.month_number) as change_bits,
        bits_of('change day', products.product_number || '/' || months.month_number) as day_bits
    from products
    cross join months

),

changes as (

    select
        *,
        draw(change_bits, 0, 1000) < 160 as is_repriced,
        draw(change_bits, 1, 1000) < 12 as is_renamed,
        launch_price_cents * (90 + draw(change_bits, 2, 30) + month_number // 4) // 1000 * 10
        + 9 as new_price_cents,
        draw(day_bits, 0, 18) as day_of_month,
        days_late(draw(change_bits, 3, 1000), 150, 30) as delay,
        (draw(change_bits, 0, 1000) < 160 or draw(change_bits, 1, 1000) < 12)
        and launched_day_number + 9 < month_first_day_number as is_changed
    from drawn

),

timed as (

    select
        product_number,
        month_number,
        if(is_changed and is_repriced, new_price_cents, null) as new_price_cents,
        launch_price_cents,
        is_changed and is_renamed as is_renamed,
        if(
            is_changed, month_first_day_number + day_of_month + delay, null
        ) as change_shown_day_number,
        if(
            is_changed,
            moment(month_first_day_number + day_of_month, 14400 + draw(day_bits, 1, 43200)),
            null
        ) as changed_at
    from changes

),

product_months as (

    select
        product_number,
        month_number,
        coalesce(last_value(new_price_cents ignore nulls) over (
            partition by product_number order by month_number
            rows between unbounded preceding and 1 preceding
        ), launch_price_cents) as price_before_cents,
        coalesce(last_value(new_price_cents ignore nulls) over (
            partition by product_number order by month_number
        ), launch_price_cents) as price_after_cents,
        count(*) filter (is_renamed) over (
            partition by product_number order by month_number
        ) as rename_count,
        change_shown_day_number,
        changed_at
    from timed

)

select * from product_months;

-- Each month a few products, mostly popular ones, are out of stock for one to two weeks.
create table stock_outs as

with months as (

    select distinct
        month_number,
        month_first_day_number
    from calendar

),

drawn as (

    select
        months.month_first_day_number,
        bits_of('stock-out', months.month_number || '/' || numbers.stock_out_number) as bits
    from months
    cross join range(0, greatest(2, products_by(-1) // 100)) as numbers (stock_out_number)

),

stock_outs as (

    select
        draw_skewed(bits, products_by(-1) // 2) as product_number,
        month_first_day_number + draw(bits, 2, 14) as first_day_number,
        month_first_day_number + draw(bits, 2, 14) + 6 + draw(bits, 3, 9) as last_day_number
    from drawn

)

select * from stock_outs;

-- One row per product and day without stock, with the substitute that customers buy. The substitute
-- is another product of the same kind, or the product with the next number.
create table stock_out_days as

with days as (

    select distinct
        product_number,
        unnest(range(first_day_number, last_day_number + 1)) as day_number
    from stock_outs

),

substitutes as (

    select
        days.product_number,
        days.day_number,
        places.place,
        (days.product_number + places.distance) % products_by(-1) as substitute_number
    from days
    cross join (
        select
            generate_subscripts(distances, 1) as place,
            unnest(distances) as distance
        from (select [33, 66] || range(1, products_by(-1)) as distances) as listed
    ) as places
    where places.place <= 12

),

stock_out_days as (

    select
        substitutes.product_number,
        substitutes.day_number,
        arg_min(substitutes.substitute_number, substitutes.place) as substitute_number
    from substitutes
    anti join days
        on
            substitutes.substitute_number = days.product_number
            and substitutes.day_number = days.day_number
    group by substitutes.product_number, substitutes.day_number

)

select * from stock_out_days;

-- Products as the shop's database shows them on the clock's day.
create table shop_products as

with last_changes as (

    select
        product_number,
        max_by(price_after_cents, changed_at) as price_cents,
        max_by(rename_count, changed_at) as rename_count,
        max(change_shown_day_number) as change_shown_day_number,
        max(changed_at) as changed_at
    from product_months
    where is_shown(change_shown_day_number)
    group by product_number

),

shop_products as (

    select
        product_id_of(products.product_number) as product_id,
        products.title || if(last_changes.rename_count % 2 = 1, ' (new pack)', '') as product_name,
        products.category,
        if(products.has_no_brand, null, products.brand) as brand,
        coalesce(last_changes.price_cents, products.launch_price_cents) as unit_price_cents,
        'EUR' as currency,
        if(
            products.has_no_prescription_flag, null, products.is_prescription_only
        ) as prescription_only,
        is_news(products.launch_shown_day_number) as is_new,
        coalesce(last_changes.changed_at, products.launched_at) as updated_at
    from products
    left join last_changes on products.product_number = last_changes.product_number
    where
        is_shown(products.launch_shown_day_number)
        and is_news(
            coalesce(last_changes.change_shown_day_number, products.launch_shown_day_number)
        )

)

select * from shop_products;
