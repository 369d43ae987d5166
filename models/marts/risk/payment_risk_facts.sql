with payments as (

    select * from {{ ref('fct_payments') }}

),

chargebacks as (

    select * from {{ ref('fct_chargebacks') }}

),

countries as (

    select * from {{ ref('countries') }}

),

travel_speeds as (

    select * from {{ ref('travel_speeds') }}

),

charges as (

    select
        transaction_id,
        customer_id,
        customer_key,
        card_id,
        terminal_id,
        order_id,
        device_id,
        country,
        nullif(country, {{ unknown_code() }}) as known_country,
        currency,
        amount,
        transacted_at
    from payments
    where not is_refund

),

-- Of several payments at one moment, one must be the last whatever their order here.
card_moments as (

    select
        transaction_id,
        card_id,
        transacted_at,
        max(known_country) over (partition by card_id, transacted_at) as country_of_moment
    from charges
    where card_id is not null

),

card_facts as (

    select
        transaction_id,
        {{ roll_by_time('count', 'transaction_id', '10m', 'transacted_at', 'card_id') }}
            as card_payment_count_10_minutes,
        {{ roll_by_time('count', 'transaction_id', '1d', 'transacted_at', 'card_id') }}
            as card_payment_count_1_day,
        {{ roll_by_time('count', 'transaction_id', '30d', 'transacted_at', 'card_id') }}
            as card_payment_count_30_days,
        {{ roll_past('count', 'transaction_id', 'transacted_at', 'card_id') }}
            as card_payment_count,
        {{ roll_past('last_value', 'country_of_moment', 'transacted_at', 'card_id') }}
            as previous_country,
        {{ roll_past('max', 'transacted_at', 'transacted_at', 'card_id') }}
            as previous_transacted_at
    from card_moments

),

card_amounts as (

    select
        transaction_id,
        {{ roll_by_time('sum', 'amount', '10m', 'transacted_at', ['card_id', 'currency']) }}
            as card_amount_10_minutes,
        {{ roll_by_time('sum', 'amount', '1d', 'transacted_at', ['card_id', 'currency']) }}
            as card_amount_1_day,
        {{ roll_by_time('sum', 'amount', '30d', 'transacted_at', ['card_id', 'currency']) }}
            as card_amount_30_days,
        {{ roll_past('avg', 'amount', 'transacted_at', ['card_id', 'currency']) }}
            as card_average_amount
    from charges
    where card_id is not null

),

device_first_uses as (

    select
        transaction_id,
        device_id,
        card_id,
        transacted_at,
        min(transacted_at) over (
            partition by device_id, card_id
        ) as first_with_card_at,
        case
            when
                card_id is not null
                and row_number() over (
                    partition by device_id, card_id order by transacted_at, transaction_id
                ) = 1
                then 1
        end as first_with_card,
        case
            when
                customer_id is not null
                and row_number() over (
                    partition by device_id, customer_id order by transacted_at, transaction_id
                ) = 1
                then 1
        end as first_with_customer
    from charges
    where device_id is not null

),

device_facts as (

    select
        transaction_id,
        case
            when card_id is not null then first_with_card_at = transacted_at
        end as is_new_device,
        {{ roll_past('count', 'first_with_card', 'transacted_at', 'device_id') }}
            as device_card_count,
        {{ roll_past('count', 'first_with_customer', 'transacted_at', 'device_id') }}
            as device_customer_count
    from device_first_uses

),

terminal_events as (

    select
        transaction_id,
        terminal_id,
        0 as fraud_count,
        transacted_at as known_at
    from charges
    where terminal_id is not null

    union all

    select
        null as transaction_id,
        charges.terminal_id,
        1 as fraud_count,
        greatest(chargebacks.reported_at, charges.transacted_at) as known_at
    from chargebacks
    inner join charges on chargebacks.transaction_id = charges.transaction_id
    where chargebacks.is_fraud and charges.terminal_id is not null

),

terminal_events_counted as (

    select
        transaction_id,
        {{ roll_past('count', 'transaction_id', 'known_at', 'terminal_id') }}
            as terminal_payment_count,
        {{ roll_past('sum', 'fraud_count', 'known_at', 'terminal_id') }} as terminal_fraud_count,
        {{ roll_by_time('sum', 'fraud_count', '30d', 'known_at', 'terminal_id') }}
            as terminal_fraud_count_30_days
    from terminal_events

),

terminal_facts as (

    select * from terminal_events_counted
    where transaction_id is not null

),

country_changes as (

    select
        charges.transaction_id,
        card_facts.previous_country,
        charges.known_country <> card_facts.previous_country as has_country_changed,
        {{ measure_distance_km(
            'previous_countries.latitude', 'previous_countries.longitude',
            'countries.latitude', 'countries.longitude',
        ) }} - previous_countries.radius_km - countries.radius_km as least_distance_km,
        (
            {{ convert_to_epoch_us('charges.transacted_at') }}
            - {{ convert_to_epoch_us('card_facts.previous_transacted_at') }}
        ) / cast(3600000000 as double) as passed_hours
    from charges
    inner join card_facts on charges.transaction_id = card_facts.transaction_id
    left join countries on charges.known_country = countries.country
    left join countries as previous_countries
        on card_facts.previous_country = previous_countries.country
    where charges.known_country is not null and card_facts.previous_country is not null

),

travels as (

    select
        transaction_id,
        previous_country,
        has_country_changed,
        case
            when not has_country_changed or least_distance_km < 0 then 0
            else round(least_distance_km / passed_hours)
        end as travel_km_per_hour
    from country_changes

),

travels_classed as (

    select
        travels.transaction_id,
        travels.previous_country,
        travels.has_country_changed,
        travels.travel_km_per_hour,
        travel_speeds.travel_class
    from travels
    left join travel_speeds
        on
            travels.travel_km_per_hour >= travel_speeds.minimum_km_per_hour
            and (travels.travel_km_per_hour < travel_speeds.maximum_km_per_hour) is not false

),

payment_risk_facts as (

    select
        charges.transaction_id,
        charges.customer_id,
        charges.customer_key,
        charges.card_id,
        charges.terminal_id,
        charges.order_id,
        charges.device_id,
        charges.country,
        travels_classed.previous_country,
        travels_classed.travel_class,
        charges.currency,
        charges.amount,
        cast(card_amounts.card_amount_10_minutes as decimal(18, 4)) as card_amount_10_minutes,
        cast(card_amounts.card_amount_1_day as decimal(18, 4)) as card_amount_1_day,
        cast(card_amounts.card_amount_30_days as decimal(18, 4)) as card_amount_30_days,
        cast(charges.amount as double)
        / nullif(card_amounts.card_average_amount, 0) as card_amount_ratio,
        card_facts.card_payment_count_10_minutes,
        card_facts.card_payment_count_1_day,
        card_facts.card_payment_count_30_days,
        card_facts.card_payment_count,
        device_facts.device_card_count,
        device_facts.device_customer_count,
        terminal_facts.terminal_payment_count,
        cast(terminal_facts.terminal_fraud_count as bigint) as terminal_fraud_count,
        cast(
            terminal_facts.terminal_fraud_count_30_days as bigint
        ) as terminal_fraud_count_30_days,
        100 * cast(terminal_facts.terminal_fraud_count as double)
        / nullif(terminal_facts.terminal_payment_count, 0) as terminal_fraud_rate_pct,
        travels_classed.travel_km_per_hour,
        device_facts.is_new_device,
        travels_classed.has_country_changed,
        charges.transacted_at
    from charges
    left join card_facts on charges.transaction_id = card_facts.transaction_id
    left join card_amounts on charges.transaction_id = card_amounts.transaction_id
    left join device_facts on charges.transaction_id = device_facts.transaction_id
    left join terminal_facts on charges.transaction_id = terminal_facts.transaction_id
    left join travels_classed on charges.transaction_id = travels_classed.transaction_id

)

select * from payment_risk_facts
