with charges as (

    select * from {{ ref('fct_payments') }}
    where not is_refund

),

chargebacks as (

    select * from {{ ref('fct_chargebacks') }}

),

frauds as (

    select
        charges.terminal_id,
        greatest(
            {{ compute_known_at(
                'chargebacks.reported_at', var('fraud_label_delay_days'), 'chargebacks'
            ) }},
            charges.transacted_at
        ) as known_at
    from chargebacks
    inner join charges on chargebacks.transaction_id = charges.transaction_id
    where chargebacks.is_fraud and charges.terminal_id is not null

),

-- A recent fraud is subtracted after 30 days, so running sums are enough. A terminal has so many
-- payments that a window for each would cost more than all other features together.
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

int_terminal_payments_counted as (

    select
        terminal_id,
        cast(coalesce(sum(payment_count) over earlier_moments, 0) as bigint)
            as terminal_payment_count,
        cast(coalesce(sum(fraud_count) over earlier_moments, 0) as bigint)
            as terminal_fraud_count,
        cast(coalesce(sum(recent_fraud_count) over earlier_moments, 0) as bigint)
            as terminal_fraud_count_30_days,
        happened_at
    from terminal_moments
    window earlier_moments as (
        partition by terminal_id order by happened_at
        rows between unbounded preceding and 1 preceding
    )

)

select * from int_terminal_payments_counted
