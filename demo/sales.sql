-- Orders that an experiment caused. They are the first orders of their day. A customer who lapsed
-- within the window places none.
create table response_orders as

with responses as (

    select
        experiment_number,
        customer_number,
        response_day_number as day_number,
        row_number() over (
            partition by response_day_number order by experiment_number, customer_number
        ) - 1 as place
    from experiment_customers
    where
        response_day_number is not null
        and coalesce(lapsed_day_number > response_day_number, true)

),

response_orders as (

    select
        responses.experiment_number,
        responses.customer_number,
        calendar.orders_before + responses.place as order_number
    from responses
    inner join calendar on responses.day_number = calendar.day_number
    where responses.place < calendar.order_count

)

select * from response_orders;

-- Orders that may still change, with all their steps, including future ones. The first call of the
-- demo makes all orders.
create table orders as

with placed as (

    select
        order_plans.*,
        response_orders.customer_number as responding_customer_number
    from order_plans
    left join response_orders on order_plans.order_number = response_orders.order_number
    where order_plans.day_number >= getvariable('since_day') - getvariable('order_life_days')

),

buyers_proposed as (

    select
        *,
        bits_of('form', order_number) as form_bits,
        draw_of_many(second_buyer_bits, 1, customer_count) as second_choice,
        draw_of_many(bits_of('third buyer', order_number), 0, customer_count) as third_choice
    from placed

),

-- A lapsed customer places no order. The next choice takes it, and in the end a guest.
buyers_chosen as (

    select
        buyers_proposed.*,
        case
            when buyers_proposed.responding_customer_number is not null
                then buyers_proposed.responding_customer_number
            when buyers_proposed.first_choice is null then null
            when coalesce(first_one.lapsed_day_number > buyers_proposed.day_number, true)
                then buyers_proposed.first_choice
            when coalesce(second_one.lapsed_day_number > buyers_proposed.day_number, true)
                then buyers_proposed.second_choice
            when coalesce(third_one.lapsed_day_number > buyers_proposed.day_number, true)
                then buyers_proposed.third_choice
        end as customer_number
    from buyers_proposed
    left join customers as first_one
        on buyers_proposed.first_choice = first_one.customer_number
    left join customers as second_one
        on buyers_proposed.second_choice = second_one.customer_number
    left join customers as third_one
        on buyers_proposed.third_choice = third_one.customer_number

),

fates_drawn as (

    select
        *,
        draw_from(form_bits, 0, getvariable('channels_by_share')) as channel,
        draw_from(form_bits, 2, getvariable('line_counts_by_share')) as bought_line_count,
        draw(form_bits, 3, 1000) < 15 as has_gift,
        would_be_cancelled_at is not null and responding_customer_number is null as is_cancelled,
        draw(fate_bits, 0, 1000) between 40 and 99 as is_returned,
        draw(manner_bits, 0, 10) < 4 as is_returned_whole,
        first_product_of(basket_bits, customer_number, product_count) as first_product_number
    from buyers_chosen

),

completed as (

    select
        *,
        channel in ('phone', 'marketplace', 'store') as is_imported,
        draw(fate_bits, 3, 1000) as lateness_draw,
        if(is_cancelled, would_be_cancelled_at, null) as cancelled_at,
        if(
            is_cancelled and would_be_paid_at >= would_be_cancelled_at, null, would_be_paid_at
        ) as paid_at,
        if(is_cancelled, null, would_be_shipped_at) as shipped_at,
        if(is_cancelled, null, would_be_completed_at) as completed_at
    from fates_drawn

),

returned as (

    select
        *,
        if(
            is_returned, completed_at + to_seconds(864000 + draw(fate_bits, 2, 1036800)), null
        ) as returned_at,
        -- Orders by telephone, from a store or from a marketplace are imported, sometimes days
        -- later. For other orders, the report of the delivery may be late-arriving.
        day_number + if(
            is_imported, days_late(lateness_draw, 250, 30), 0
        ) as placement_shown_day_number,
        day_of(completed_at) + if(
            is_imported, 0, days_late(lateness_draw, 20, 4)
        ) as completion_shown_day_number
    from completed

),

orders as (

    select
        returned.*,
        case
            when customers.customer_number is null or draw(returned.manner_bits, 2, 1000) < 30
                then draw_from(returned.form_bits, 1, getvariable('countries_by_share'))
            when customers.moved_at <= returned.ordered_at then customers.new_country
            else customers.country
        end as ship_country
    from returned
    left join customers on returned.customer_number = customers.customer_number

)

select * from orders;

-- Orders as the sales API shows them on the clock's day.
create table sales_orders as

with stages as (

    select
        *,
        case
            when is_shown(day_of(returned_at)) then 'returned'
            when is_shown(day_of(cancelled_at)) then 'cancelled'
            when is_shown(completion_shown_day_number) then 'completed'
            when is_shown(day_of(shipped_at)) then 'shipped'
            when is_shown(day_of(paid_at)) then 'paid'
            else 'placed'
        end as status
    from orders
    where is_shown(placement_shown_day_number)

),

stages_timed as (

    select
        *,
        case status
            when 'returned' then returned_at
            when 'cancelled' then cancelled_at
            when 'completed' then completed_at
            when 'shipped' then shipped_at
            when 'paid' then paid_at
            else ordered_at
        end as updated_at
    from stages

),

stages_dated as (

    select
        *,
        greatest(
            placement_shown_day_number,
            if(status = 'completed', completion_shown_day_number, day_of(updated_at))
        ) as shown_day_number
    from stages_timed

),

sales_orders as (

    select
        stages_dated.order_number as id,
        cast(epoch(stages_dated.updated_at) as bigint) as updated_at,
        is_news(stages_dated.placement_shown_day_number) as is_new,
        cast(to_json({
            order_id: order_id_of(stages_dated.order_number),
            customer_id: customer_id_of(stages_dated.customer_number),
            ordered_at: strftime(stages_dated.ordered_at, '%Y-%m-%dT%H:%M:%SZ'),
            status: stages_dated.status,
            channel: stages_dated.channel,
            ship_country: stages_dated.ship_country,
            currency: countries.currency,
            updated_at: strftime(stages_dated.updated_at, '%Y-%m-%dT%H:%M:%SZ')
        }) as varchar) as record
    from stages_dated
    inner join countries on stages_dated.ship_country = countries.country
    where is_news(stages_dated.shown_day_number)

)

select * from sales_orders;

-- Lines of these orders, with the product that the buyer considered, wanted and bought. The three
-- differ out of season and out of stock.
create table order_lines as

with lines as (

    select
        *,
        unnest(range(1, bought_line_count + 1 + cast(has_gift as integer))) as line_number
    from orders

),

drawn as (

    select
        *,
        bits_of('line', order_number || '/' || line_number) as line_bits,
        bits_of('price', order_number || '/' || line_number) as price_bits,
        line_number > bought_line_count as is_gift
    from lines

),

-- Half of the other lines belong to the first product, like plasters to an ointment.
products_considered as (

    select
        *,
        case
            when line_number = 1 then first_product_number
            when draw(line_bits, 2, 2) = 0
                then (first_product_number * 37 + line_number * 101) % products_by(-1)
            else draw_skewed(line_bits, product_count)
        end as considered_product_number,
        draw_from(line_bits, 3, getvariable('quantities_by_share')) as quantity
    from drawn

),

products_wanted as (

    select
        products_considered.*,
        if(
            draw(products_considered.price_bits, 3, 1000)
            < coalesce(seasons.month_permille[month(products_considered.ordered_at)], 1000),
            products_considered.considered_product_number,
            draw_skewed(products_considered.price_bits, products_considered.product_count)
        ) as wanted_product_number
    from products_considered
    inner join products
        on products_considered.considered_product_number = products.product_number
    left join seasons on products.category = seasons.category

),

order_lines as (

    select
        products_wanted.*,
        coalesce(
            stock_out_days.substitute_number, products_wanted.wanted_product_number
        ) as product_number
    from products_wanted
    left join stock_out_days
        on
            products_wanted.wanted_product_number = stock_out_days.product_number
            and products_wanted.day_number = stock_out_days.day_number

)

select * from order_lines;

-- Lines with their prices, before customer service corrects any price.
create table priced_lines as

with priced as (

    select
        order_lines.*,
        countries.currency,
        if(
            order_lines.is_gift,
            0,
            (
                countries.rate_pct * if(
                    coalesce(product_months.changed_at <= order_lines.ordered_at, false),
                    product_months.price_after_cents,
                    product_months.price_before_cents
                ) + 50
            ) // 100
        ) as price_cents,
        -- Customer service reduces a few prices, within days of the order.
        if(
            draw(order_lines.price_bits, 0, 1000) < 4 and not order_lines.is_gift,
            order_lines.ordered_at
            + to_seconds(3600 + draw(order_lines.price_bits, 1, 259200)),
            null
        ) as corrected_at,
        case
            when draw(order_lines.price_bits, 2, 100) < 8 then 10
            when draw(order_lines.price_bits, 2, 100) < 12 then 20
            when draw(order_lines.price_bits, 2, 100) < 30 then 0
        end as discount_pct
    from order_lines
    inner join countries on order_lines.ship_country = countries.country
    inner join product_months
        on
            order_lines.product_number = product_months.product_number
            and order_lines.month_number = product_months.month_number

),

priced_lines as (

    select
        *,
        price_cents * quantity * discount_pct // 100 as discount_cents
    from priced

)

select * from priced_lines;

-- Lines as the sales API shows them. A returned line has a line number of its own.
create table sales_order_lines as

with valued as (

    select
        *,
        if(is_shown(day_of(corrected_at)), corrected_at, null) as seen_corrected_at,
        if(
            is_shown(day_of(corrected_at)), price_cents * 9 // 10, price_cents
        ) as current_price_cents
    from priced_lines
    where is_shown(placement_shown_day_number)

),

bought as (

    select
        order_number,
        line_number,
        product_number,
        quantity,
        current_price_cents as price_cents,
        discount_cents,
        placement_shown_day_number as first_shown_day_number,
        greatest(placement_shown_day_number, day_of(seen_corrected_at)) as shown_day_number,
        coalesce(seen_corrected_at, ordered_at) as updated_at
    from valued

),

sent_back as (

    select
        order_number,
        line_number + bought_line_count + cast(has_gift as integer) as line_number,
        product_number,
        -quantity as quantity,
        current_price_cents as price_cents,
        -discount_cents as discount_cents,
        day_of(returned_at) as first_shown_day_number,
        day_of(returned_at) as shown_day_number,
        returned_at as updated_at
    from valued
    where
        is_shown(day_of(returned_at))
        and not is_gift
        and (line_number = 1 or is_returned_whole)

),

all_lines as (

    select * from bought

    union all

    select * from sent_back

),

sales_order_lines as (

    select
        order_number * 100 + line_number as id,
        cast(epoch(updated_at) as bigint) as updated_at,
        is_news(first_shown_day_number) as is_new,
        cast(to_json({
            order_id: order_id_of(order_number),
            line_number: line_number,
            product_id: product_id_of(product_number),
            quantity: quantity,
            unit_price: cast(price_cents * 0.01 as decimal(18, 2)),
            discount_amount: cast(discount_cents * 0.01 as decimal(18, 2)),
            updated_at: strftime(updated_at, '%Y-%m-%dT%H:%M:%SZ')
        }) as varchar) as record
    from all_lines
    where is_news(shown_day_number)

)

select * from sales_order_lines;
