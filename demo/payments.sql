-- Tokens like those of a payment provider: the same for the same card or device, without any other
-- information.
create macro token_of(prefix, subject) as (
    prefix || left(md5(getvariable('seed') || ':' || prefix || ':' || subject), 16)
);

create macro card_of(customer_number, card_number) as (
    token_of('card_', customer_number || '/' || card_number)
);

-- Two accounts of one person share their devices.
create macro device_of(person_number, device_number) as (
    token_of('dev_', person_number || '/' || device_number)
);

create macro till_of(country, till_number) as (
    'till-' || country || '-' || lpad(cast(till_number as varchar), 3, '0')
);

-- Draw the number of events of a day; at scale 1, the mean is events_per_million_days / 1000000.
create macro draw_event_count(bits, place, events_per_million_days) as (
    (scale_permille() * events_per_million_days // 1000 + draw_of_many(bits, place, 1000000))
    // 1000000
);

-- Card payments for orders, and refunds of returned lines. Orders paid by bank transfer (one in
-- twelve) and orders of a marketplace have no card payment.
create table order_payments as

with order_amounts as (

    select
        order_number,
        sum(price_cents * quantity - coalesce(discount_cents, 0)) as amount_cents,
        sum(
            if(
                not is_gift and (line_number = 1 or is_returned_whole),
                price_cents * quantity - coalesce(discount_cents, 0), 0
            )
        ) as returned_cents
    from priced_lines
    group by order_number

),

drawn as (

    select
        orders.*,
        order_amounts.amount_cents,
        order_amounts.returned_cents,
        coalesce(customers.person_number, -1 - orders.order_number) as person_number,
        coalesce(orders.customer_number, -1 - orders.order_number) as payer_number,
        bits_of('order payment', orders.order_number) as payment_bits
    from orders
    inner join order_amounts on orders.order_number = order_amounts.order_number
    left join customers on orders.customer_number = customers.customer_number
    where
        orders.paid_at is not null
        and orders.channel <> 'marketplace'
        and draw(orders.manner_bits, 1, 12) > 0

),

described as (

    select
        *,
        card_of(payer_number, cast(draw(payment_bits, 0, 100) < 12 as integer)) as card_id,
        case
            when channel = 'store'
                then till_of(ship_country, draw(payment_bits, 1, 6))
            else channel || '-' || ship_country
        end as terminal_id,
        if(
            channel in ('web', 'app'),
            device_of(person_number, cast(draw(payment_bits, 2, 100) < 15 as integer)),
            null
        ) as device_id
    from drawn

),

order_payments as (

    select
        'order/' || order_number as subject,
        customer_number,
        card_id,
        terminal_id,
        order_number,
        device_id,
        ship_country as country,
        amount_cents,
        paid_at as transacted_at
    from described
    where amount_cents > 0

    union all

    select
        'refund/' || order_number as subject,
        customer_number,
        card_id,
        terminal_id,
        order_number,
        null as device_id,
        ship_country as country,
        -returned_cents as amount_cents,
        returned_at + to_seconds(3600 + draw(payment_bits, 3, 60000)) as transacted_at
    from described
    where returned_cents > 0 and returned_at is not null

)

select * from order_payments;

-- Payments of customers at the tills of the pharmacies. Customers pay in their home country, and
-- abroad in 2 % of the weeks.
create table till_payments as

with numbered as (

    select
        day_number,
        unnest(range(orders_before * 9 // 5, (orders_before + order_count) * 9 // 5))
            as till_payment_number
    from calendar
    where day_number >= getvariable('since_day') - getvariable('order_life_days')

),

drawn as (

    select
        *,
        bits_of('till', till_payment_number) as till_bits,
        bits_of('till payer', till_payment_number) as payer_bits,
        customers_by(day_number - 1) as customer_count
    from numbered

),

payers_chosen as (

    select
        *,
        least(
            customer_count - 1,
            draw_of_many(payer_bits, 1, customer_count) // 50 * 50 + draw_skewed(payer_bits, 50)
        ) as customer_number
    from drawn

),

placed as (

    select
        payers_chosen.*,
        draw(
            bits_of('week', payers_chosen.customer_number || '/' || payers_chosen.day_number // 7),
            0, 100
        ) < 2 as is_abroad,
        case
            when customers.moved_at <= moment(payers_chosen.day_number, 0)
                then customers.new_country
            else customers.country
        end as home_country,
        draw_from(
            bits_of('week', payers_chosen.customer_number || '/' || payers_chosen.day_number // 7),
            1, getvariable('countries_by_share')
        ) as country_of_travel
    from payers_chosen
    inner join customers on payers_chosen.customer_number = customers.customer_number

),

till_payments as (

    select
        'till/' || till_payment_number as subject,
        customer_number,
        card_of(customer_number, cast(draw(till_bits, 0, 100) < 12 as integer)) as card_id,
        till_of(if(is_abroad, country_of_travel, home_country), draw(till_bits, 1, 6))
            as terminal_id,
        if(is_abroad, country_of_travel, home_country) as country,
        199 + draw_skewed(payer_bits >> 12, 9000) as amount_cents,
        moment(
            day_number,
            draw_from(till_bits, 2, getvariable('hours_by_demand')) * 3600
            + draw(till_bits, 3, 3600)
        ) as transacted_at
    from placed

)

select * from till_payments;

-- All fraud since the beginning, because reports arrive up to two months later. A ring uses the
-- stolen cards of several customers at one terminal with one device. It pays small amounts first,
-- then large ones, and the last one in a distant country. A lone thief pays once or twice.
create table frauds as

with days_drawn as (

    select
        day_number,
        bits_of('fraud', day_number) as fraud_bits,
        customers_by(day_number - 1) as customer_count
    from calendar

),

rings as (

    select
        *,
        unnest(range(0, draw_event_count(fraud_bits, 0, 100000))) as ring_number
    from days_drawn

),

rings_drawn as (

    select
        *,
        day_number || '/' || ring_number as ring,
        bits_of('ring', day_number || '/' || ring_number) as ring_bits
    from rings

),

ring_cards as (

    select
        *,
        draw_from(ring_bits, 0, getvariable('countries_by_share')) as country,
        unnest(range(0, 5 + draw(ring_bits, 1, 6))) as card_number
    from rings_drawn

),

ring_payments as (

    select
        *,
        bits_of('ring card', ring || '/' || card_number) as card_bits,
        unnest(range(0, 5)) as payment_number
    from ring_cards

),

ring_frauds as (

    select
        'ring' as kind,
        ring,
        'ring/' || ring || '/' || card_number || '/' || payment_number as subject,
        draw_of_many(card_bits, 0, customer_count) as customer_number,
        if(
            payment_number = 4,
            'web-' || if(country = 'JP', 'GB', 'JP'),
            'web-' || country || '-' || draw(ring_bits, 2, 4)
        ) as terminal_id,
        token_of('dev_', 'ring/' || ring) as device_id,
        if(payment_number = 4, if(country = 'JP', 'GB', 'JP'), country) as country,
        if(
            payment_number < 3,
            50 + draw(card_bits, 2, 150),
            18000 + 7000 * payment_number + draw(card_bits, 3, 20000)
        ) as amount_cents,
        moment(
            day_number,
            18000 + draw(ring_bits, 3, 50000)
            + card_number * 420 + payment_number * 75 + if(payment_number > 2, 600, 0)
            + draw(card_bits, 2, 60)
        ) as transacted_at
    from ring_payments

),

thieves as (

    select
        *,
        unnest(range(0, draw_event_count(fraud_bits, 1, 600000))) as thief_number
    from days_drawn

),

thieves_drawn as (

    select
        *,
        bits_of('thief', day_number || '/' || thief_number) as thief_bits
    from thieves

),

thief_payments as (

    select
        *,
        unnest(range(0, 1 + draw(thief_bits, 0, 2))) as payment_number
    from thieves_drawn

),

lone_frauds as (

    select
        'lone' as kind,
        cast(null as varchar) as ring,
        'thief/' || day_number || '/' || thief_number || '/' || payment_number as subject,
        draw_of_many(thief_bits, 1, customer_count) as customer_number,
        'web-' || draw_from(thief_bits, 1, getvariable('countries_by_share')) as terminal_id,
        token_of('dev_', 'thief/' || day_number || '/' || thief_number) as device_id,
        draw_from(thief_bits, 1, getvariable('countries_by_share')) as country,
        9000 + 4000 * payment_number + draw(thief_bits, 2, 30000) as amount_cents,
        moment(day_number, draw(thief_bits, 3, 80000) + payment_number * 900) as transacted_at
    from thief_payments

),

both_kinds as (

    select * from ring_frauds

    union all

    select * from lone_frauds

),

reports_drawn as (

    select
        *,
        card_of(customer_number, 0) as card_id,
        bits_of('report', subject) as report_bits
    from both_kinds

),

-- The cardholder reports 85 % of the fraud, 3 to 60 days later.
frauds as (

    select
        *,
        if(
            draw(report_bits, 0, 100) < 85,
            transacted_at + to_seconds(3 * 86400 + draw_of_many(report_bits, 1, 57 * 86400)),
            null
        ) as reported_at
    from reports_drawn

)

select * from frauds;

-- All payments, with the day on which the provider reports each.
create table payments as

with all_payments as (

    select
        subject,
        customer_number,
        card_id,
        terminal_id,
        order_number,
        device_id,
        country,
        amount_cents,
        transacted_at,
        cast(null as varchar) as kind
    from order_payments

    union all

    select
        subject,
        customer_number,
        card_id,
        terminal_id,
        null as order_number,
        null as device_id,
        country,
        amount_cents,
        transacted_at,
        null as kind
    from till_payments

    union all

    select
        subject,
        customer_number,
        card_id,
        terminal_id,
        null as order_number,
        device_id,
        country,
        amount_cents,
        transacted_at,
        kind
    from frauds

),

drawn as (

    select
        *,
        bits_of('payment', subject) as payment_bits,
        bits_of('payment report', subject) as report_bits
    from all_payments

),

payments as (

    select
        drawn.*,
        token_of('', drawn.subject) as transaction_id,
        countries.currency,
        countries.rate_pct * drawn.amount_cents // 100 as charged_cents,
        day_of(drawn.transacted_at) + days_late(draw(drawn.payment_bits, 0, 1000), 40, 8)
            as reported_day_number
    from drawn
    inner join countries on drawn.country = countries.country

)

select * from payments;

-- Payments in the provider's files: some are repeated, some slightly out of order, and a few
-- invalid.
create table payments_transactions as

with reported as (

    select
        *,
        row(epoch(transacted_at) + draw(report_bits, 0, 1800), transaction_id) as _place,
        reported_day_number as _sent_day_number,
        if(kind is null and order_number is null, draw(report_bits, 1, 5000), 5000) as fault_draw
    from payments

),

reported_again as (

    select * from reported

    union all by name

    select * replace (_sent_day_number + draw(report_bits, 3, 3) as _sent_day_number)
    from reported
    where draw(report_bits, 2, 1000) < 3

),

payments_transactions as (

    select
        _sent_day_number,
        _place,
        case fault_draw
            when 0 then '{"transaction_id": "' || transaction_id || '", "amount": '
            else cast(to_json({
                transaction_id: transaction_id,
                customer_id: customer_id_of(customer_number),
                card_id: if(fault_draw = 1, '4000000000000002', card_id),
                terminal_id: terminal_id,
                order_id: order_id_of(order_number),
                amount: if(
                    fault_draw = 2, null, cast(charged_cents * 0.01 as decimal(18, 2))
                ),
                currency: if(fault_draw = 3, lower(currency), currency),
                country: if(draw(payment_bits, 1, 1000) < 4 and kind is null, null, country),
                device_id: device_id,
                transacted_at: strftime(transacted_at, '%Y-%m-%dT%H:%M:%SZ')
            }) as varchar)
        end as record
    from reported_again
    where is_news(_sent_day_number)

)

select * from payments_transactions;

-- Chargebacks, with the day on which each appears. The causes are fraud, disputes about goods, and
-- cardholders who do not recognise their own purchase. The last two arrive within a month.
create table chargebacks as

with fraud_reports as (

    select
        subject,
        case
            when draw(report_bits, 1, 100) < 3 then null
            else draw_from(report_bits, 1, ['fraud', 'stolen_card', 'not_recognised'])
        end as reason,
        reported_at
    from frauds
    where reported_at is not null

),

honest_drawn as (

    select
        *,
        bits_of('quarrel', subject) as dispute_bits
    from payments
    where kind is null and charged_cents > 0

),

disputes as (

    select
        subject,
        case
            when draw(dispute_bits, 0, 10000) < 6 then 'not_recognised'
            else draw_from(
                dispute_bits, 1, ['not_received', 'not_as_described', 'duplicate', 'wrong_amount']
            )
        end as reason,
        transacted_at + to_seconds(3 * 86400 + draw_of_many(dispute_bits, 1, 25 * 86400))
            as reported_at
    from honest_drawn
    where draw(dispute_bits, 0, 10000) < if(order_number is null, 6, 30)

),

reports_drawn as (

    select
        *,
        bits_of('chargeback', subject) as chargeback_bits
    from (
        select * from fraud_reports
        union all
        select * from disputes
    ) as reports

),

chargebacks as (

    select
        *,
        day_of(reported_at) + days_late(draw(chargeback_bits, 0, 1000), 200, 50)
            as reported_day_number
    from reports_drawn

)

select * from chargebacks;

-- Chargebacks in the provider's files; some are repeated.
create table payments_chargebacks as

with reported_again as (

    select
        *,
        reported_day_number as _sent_day_number
    from chargebacks

    union all

    select
        *,
        reported_day_number + 1 as _sent_day_number
    from chargebacks
    where draw(chargeback_bits, 1, 1000) < 15

),

payments_chargebacks as (

    select
        _sent_day_number,
        row(reported_at, subject) as _place,
        cast(to_json({
            transaction_id: token_of('', subject),
            reason: reason,
            reported_at: strftime(reported_at, '%Y-%m-%dT%H:%M:%SZ')
        }) as varchar) as record
    from reported_again
    where is_news(_sent_day_number)

)

select * from payments_chargebacks;
