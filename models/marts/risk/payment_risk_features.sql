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

-- Pairs compare by time, and of one time by name: which country was last is not left to chance.
cards_located as (

    select
        transaction_id,
        card_id,
        transacted_at,
        case
            when known_country is not null
                then {{ make_pair(convert_to_epoch_us('transacted_at'), 'known_country') }}
        end as located_country
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
        {{ roll_past('max', 'located_country', 'transacted_at', 'card_id') }}
            as previous_location
    from cards_located

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

frauds as (

    select
        charges.terminal_id,
        greatest(chargebacks.reported_at, charges.transacted_at) as known_at
    from chargebacks
    inner join charges on chargebacks.transaction_id = charges.transaction_id
    where chargebacks.is_fraud and charges.terminal_id is not null

),

-- What is recent is taken off again once it is too old, so that running sums are all it takes: a
-- till has so many payments that a window of each would cost more than all else here.
terminal_events as (

    select
        terminal_id,
        1 as payment_count,
        0 as fraud_count,
        0 as recent_fraud_count,
        transacted_at as happened_at
    from charges
    where terminal_id is not null

    union all

    select
        terminal_id,
        0 as payment_count,
        1 as fraud_count,
        1 as recent_fraud_count,
        known_at as happened_at
    from frauds

    union all

    select
        terminal_id,
        0 as payment_count,
        0 as fraud_count,
        -1 as recent_fraud_count,
        {{ dbt.dateadd('day', 30, 'known_at') }} as happened_at
    from frauds

),

terminal_moments as (

    select
        terminal_id,
        happened_at,
        cast(sum(payment_count) as integer) as payment_count,
        cast(sum(fraud_count) as integer) as fraud_count,
        cast(sum(recent_fraud_count) as integer) as recent_fraud_count
    from terminal_events
    group by terminal_id, happened_at

),

terminal_facts as (

    select
        terminal_id,
        happened_at,
        coalesce(sum(payment_count) over earlier_moments, 0) as terminal_payment_count,
        coalesce(sum(fraud_count) over earlier_moments, 0) as terminal_fraud_count,
        coalesce(sum(recent_fraud_count) over earlier_moments, 0) as terminal_fraud_count_30_days
    from terminal_moments
    window earlier_moments as (
        partition by terminal_id order by happened_at
        rows between unbounded preceding and 1 preceding
    )

),

previous_locations as (

    select
        transaction_id,
        (previous_location).second as previous_country,
        (previous_location).first as previous_us
    from card_facts
    where previous_location is not null

),

country_changes as (

    select
        charges.transaction_id,
        previous_locations.previous_country,
        charges.known_country <> previous_locations.previous_country as has_country_changed,
        {{ measure_distance_km(
            'previous_countries.latitude', 'previous_countries.longitude',
            'countries.latitude', 'countries.longitude',
        ) }} - previous_countries.radius_km - countries.radius_km as least_distance_km,
        ({{ convert_to_epoch_us('charges.transacted_at') }} - previous_locations.previous_us)
        / cast(3600000000 as double) as passed_hours
    from charges
    inner join previous_locations
        on charges.transaction_id = previous_locations.transaction_id
    left join countries on charges.known_country = countries.country
    left join countries as previous_countries
        on previous_locations.previous_country = previous_countries.country
    where charges.known_country is not null

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

payment_risk_features as (

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
        cast(terminal_facts.terminal_payment_count as bigint) as terminal_payment_count,
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
    left join terminal_facts
        on
            charges.terminal_id = terminal_facts.terminal_id
            and charges.transacted_at = terminal_facts.happened_at
    left join travels_classed on charges.transaction_id = travels_classed.transaction_id

)

select * from payment_risk_features
