with payments (paid_amount, paid_at) as (

    values
    (1, timestamp '2026-01-01 01:00:00'),
    (2, timestamp '2026-01-01 02:00:00'),
    (4, timestamp '2026-01-01 02:00:00')

),

payments_rolled as (

    select
        paid_amount,
        {{ roll_past('sum', 'paid_amount', 'paid_at') }} as paid_before
    from payments

),

results as (

    select
        'roll_past' as macro_name,
        string_agg(cast(paid_before as varchar), ', ' order by paid_amount) as result,
        '0, 1, 1' as worked_result
    from payments_rolled

    union all

    select
        'measure_distance_km' as macro_name,
        cast(
            cast(round({{ measure_distance_km(52.52, 13.41, 51.51, -0.13) }}) as integer) as varchar
        ) as result,
        '932' as worked_result

    union all

    select
        'fraud_label_maturity_days' as macro_name,
        cast({{ fraud_label_maturity_days() }} as varchar) as result,
        '60' as worked_result

    union all

    select
        'count_days_past_due of a late payment' as macro_name,
        cast({{ count_days_past_due(
            "date '2026-03-01'", "timestamp '2026-03-04 10:00:00'", "date '2026-03-31'"
        ) }} as varchar) as result,
        '3' as worked_result

    union all

    select
        'count_days_past_due of what is unpaid' as macro_name,
        cast({{ count_days_past_due(
            "date '2026-03-01'", "null", "date '2026-03-31'"
        ) }} as varchar) as result,
        '30' as worked_result

    union all

    select
        'count_days_past_due of an early payment' as macro_name,
        cast({{ count_days_past_due(
            "date '2026-03-01'", "timestamp '2026-02-20 10:00:00'", "date '2026-03-31'"
        ) }} as varchar) as result,
        '0' as worked_result

    union all

    select
        'compute_annuity_balance without interest' as macro_name,
        cast({{ compute_annuity_balance(1200, 0, 12, 3) }} as varchar) as result,
        '900.0000' as worked_result

    union all

    select
        'compute_annuity_balance' as macro_name,
        cast({{ compute_annuity_balance(1000, 12, 12, 6) }} as varchar) as result,
        '514.9211' as worked_result

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
