-- Orders as they are planned: all that does not depend on the buyer, for each order of the history.
-- A view, because later calls of the demo need few of the orders. The would_be_ columns hold times
-- of an order that is not cancelled, or of its cancellation.
create view order_plans as

with numbered as (

    select
        day_number,
        month_number,
        unnest(range(orders_before, orders_before + order_count)) as order_number
    from calendar

),

drawn as (

    select
        *,
        bits_of('buyer', order_number) as buyer_bits,
        bits_of('second buyer', order_number) as second_buyer_bits,
        bits_of('basket', order_number) as basket_bits,
        further_bits_of('buyer', order_number) as time_bits,
        further_bits_of('second buyer', order_number) as fate_bits,
        further_bits_of('basket', order_number) as manner_bits,
        customers_by(day_number - 1) as customer_count,
        products_by(day_number - 1) as product_count
    from numbered

),

-- In every hundred customers, a few buy often and many rarely. One order in ten is from a new
-- customer.
buyers_proposed as (

    select
        *,
        case
            when draw(buyer_bits, 0, 100) < 7 then null
            when draw(buyer_bits, 0, 100) < 17
                then customer_count - 1 - draw_of_many(
                    buyer_bits, 1,
                    greatest(1, customer_count - customers_by(day_number - 5))
                )
            else least(
                customer_count - 1,
                draw_of_many(buyer_bits, 1, customer_count) // 100 * 100
                + draw_skewed(second_buyer_bits, 100)
            )
        end as first_choice,
        moment(
            day_number,
            draw_from(time_bits, 0, getvariable('hours_by_demand')) * 3600
            + draw(time_bits, 1, 3600)
        ) as ordered_at
    from drawn

),

paid as (

    select
        *,
        -- One order in twelve is paid by bank transfer, which takes days.
        ordered_at + to_seconds(
            if(draw(manner_bits, 1, 12) = 0, 86400, 20)
            + draw(time_bits, 2, if(draw(manner_bits, 1, 12) = 0, 259200, 900))
        ) as would_be_paid_at,
        if(
            draw(fate_bits, 0, 1000) < 40,
            ordered_at + to_seconds(3600 + draw(time_bits, 3, 100000)),
            null
        ) as would_be_cancelled_at
    from buyers_proposed

),

shipped as (

    select
        *,
        would_be_paid_at + to_seconds(14400 + draw(time_bits, 3, 201600)) as would_be_shipped_at
    from paid

),

order_plans as (

    select
        *,
        would_be_shipped_at + to_seconds(72000 + draw(fate_bits, 1, 360000))
            as would_be_completed_at
    from shipped

)

select * from order_plans;

-- Every customer has a favourite product.
create macro first_product_of(basket_bits, customer_number, product_count) as if(
    draw(basket_bits, 2, 10) < 4 and customer_number is not null,
    customer_number * 7919 % products_by(-1),
    draw_skewed(basket_bits, product_count)
);

create macro review_bits_of(order_number) as further_bits_of('farewell', order_number);

create macro is_reviewed(review_bits) as draw(review_bits, 0, 100) < 27;

-- One third of the products are good, and one third are bad.
create macro stars_of(review_bits, product_number) as draw_from(
    review_bits, 1, case draw(bits_of('quality', product_number), 0, 3)
        when 0 then [5, 5, 5, 5, 5, 4, 4, 4, 3, 1]
        when 1 then [5, 5, 5, 4, 4, 4, 3, 3, 2, 1]
        else [5, 4, 4, 3, 3, 2, 2, 1, 1, 1]
    end
);

create macro review_written_at(review_bits, completed_at) as (
    completed_at + to_seconds(86400 + draw(review_bits, 2, 65536) * 14)
);

-- The causes of lapses that the sources show. After so many of 1,000 orders with the cause, the
-- customer lapses.
create table lapse_causes as

select *
from (
    values
    ('late parcel', 400, 'delivered more than 7 days after the order'),
    ('cancelled order', 450, 'the order was cancelled'),
    ('price rise', 450, 'the price of the first product rose by 5 % or more this month'),
    ('bad review', 450, 'the customer gave one star')
) as made_up (cause, lapse_permille, description);

-- Orders after which the customer lapses, one row per order, if the customer has not lapsed before.
-- Of several causes, the first one counts. An order that another customer takes over has no row
-- for that customer.
create table disappointments as

with disappointing as (

    select
        order_number,
        day_number,
        month_number,
        first_choice as customer_number,
        ordered_at,
        would_be_cancelled_at,
        would_be_completed_at,
        draw(bits_of('farewell', order_number), 0, 1000) as lapse_draw,
        review_bits_of(order_number) as review_bits,
        first_product_of(basket_bits, first_choice, product_count) as first_product_number
    from order_plans
    where
        first_choice is not null
        and draw(bits_of('farewell', order_number), 0, 1000)
        < (select max(lapse_causes.lapse_permille) from lapse_causes)

),

risen_prices as (

    select
        product_number,
        month_number,
        changed_at
    from product_months
    where price_after_cents * 100 >= price_before_cents * 105

),

causes_found as (

    select
        disappointing.*,
        case
            when disappointing.would_be_cancelled_at is not null then 'cancelled order'
            when disappointing.would_be_completed_at > disappointing.ordered_at + interval 7 days
                then 'late parcel'
            when
                is_reviewed(disappointing.review_bits)
                and stars_of(disappointing.review_bits, disappointing.first_product_number) = 1
                then 'bad review'
            when risen_prices.changed_at <= disappointing.ordered_at then 'price rise'
        end as cause
    from disappointing
    left join risen_prices
        on
            disappointing.first_product_number = risen_prices.product_number
            and disappointing.month_number = risen_prices.month_number

),

lapses_timed as (

    select
        causes_found.*,
        1 + day_of(case causes_found.cause
            when 'cancelled order' then causes_found.would_be_cancelled_at
            when 'late parcel' then causes_found.would_be_completed_at
            when 'bad review'
                then review_written_at(
                    causes_found.review_bits, causes_found.would_be_completed_at
                )
            else causes_found.ordered_at
        end) as lapsed_day_number
    from causes_found
    inner join lapse_causes on causes_found.cause = lapse_causes.cause
    where causes_found.lapse_draw < lapse_causes.lapse_permille

),

-- The first product is the one that was bought, unless it is out of season or out of stock.
disappointments as (

    select
        lapses_timed.customer_number,
        lapses_timed.order_number,
        lapses_timed.cause,
        lapses_timed.lapsed_day_number
    from lapses_timed
    inner join products on lapses_timed.first_product_number = products.product_number
    left join seasons on products.category = seasons.category
    left join stock_out_days
        on
            lapses_timed.first_product_number = stock_out_days.product_number
            and lapses_timed.day_number = stock_out_days.day_number
    where
        lapses_timed.cause in ('cancelled order', 'late parcel')
        or (seasons.category is null and stock_out_days.product_number is null)

)

select * from disappointments;
