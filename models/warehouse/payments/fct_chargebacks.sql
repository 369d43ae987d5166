with chargebacks as (

    select * from {{ ref('stg_payments__chargebacks') }}

),

chargeback_reasons as (

    select * from {{ ref('chargeback_reasons') }}

),

fct_chargebacks as (

    select
        chargebacks.transaction_id,
        coalesce(chargebacks.reason, {{ unknown_code() }}) as reason,
        coalesce(chargeback_reasons.is_fraud, true) as is_fraud,
        {{ business_date('chargebacks.reported_at') }} as reported_date,
        chargebacks.reported_at,
        chargebacks._loaded_at,
        chargebacks._is_backfill
    from chargebacks
    left join chargeback_reasons on chargebacks.reason = chargeback_reasons.reason

)

select * from fct_chargebacks
