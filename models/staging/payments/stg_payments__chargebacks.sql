with chargebacks as (

    {{ current_rows('payments.chargebacks', key='transaction_id') }}

),

stg_payments__chargebacks as (

    select
        transaction_id,
        reason,
        reported_at,
        _loaded_at,
        _is_backfill
    from chargebacks

)

select * from stg_payments__chargebacks
