with payments as (

    select * from {{ ref('fct_payments') }}

),

chargebacks as (

    select * from {{ ref('fct_chargebacks') }}

),

charges as (

    select * from payments
    where not is_refund

),

latest_moments as (

    select max(transacted_at) as latest_at
    from payments

    union all

    select max(reported_at) as latest_at
    from chargebacks

),

latest_moment as (

    select max(latest_at) as latest_at
    from latest_moments

),

-- A lack of reports may mean no fraud or no reporting. It counts as evidence only until the last
-- chargeback was reported or loaded.
reports_known as (

    select max(greatest(reported_at, _loaded_at)) as known_until
    from chargebacks

),

frauds as (

    select
        transaction_id,
        reported_at
    from chargebacks
    where is_fraud

),

charges_timed as (

    select
        charges.transaction_id,
        charges.transacted_at,
        case
            when frauds.reported_at is null then {{ end_of_time() }}
            else greatest(frauds.reported_at, charges.transacted_at)
        end as fraud_known_at,
        {{ dbt.dateadd(
            'day', var('fraud_label_maturity_days'), 'charges.transacted_at'
        ) }} as matures_at,
        latest_moment.latest_at,
        reports_known.known_until as reports_known_until
    from charges
    cross join latest_moment
    cross join reports_known
    left join frauds on charges.transaction_id = frauds.transaction_id

),

labels_timed as (

    select
        *,
        matures_at < fraud_known_at
        and matures_at <= latest_at
        and coalesce(matures_at <= reports_known_until, false) as is_matured
    from charges_timed

),

all_labels as (

    select
        transaction_id,
        'unknown' as fraud_status,
        cast(null as boolean) as is_fraud,
        transacted_at,
        transacted_at as valid_from,
        case when is_matured then matures_at else fraud_known_at end as valid_to
    from labels_timed
    where transacted_at < fraud_known_at

    union all

    select
        transaction_id,
        'presumed legitimate' as fraud_status,
        false as is_fraud,
        transacted_at,
        matures_at as valid_from,
        fraud_known_at as valid_to
    from labels_timed
    where is_matured

    union all

    select
        transaction_id,
        'fraud' as fraud_status,
        true as is_fraud,
        transacted_at,
        fraud_known_at as valid_from,
        {{ end_of_time() }} as valid_to
    from labels_timed
    where fraud_known_at < {{ end_of_time() }}

),

payment_fraud_labels as (

    select
        transaction_id,
        fraud_status,
        is_fraud,
        valid_to = {{ end_of_time() }} as is_current,
        transacted_at,
        valid_from,
        valid_to
    from all_labels

)

select * from payment_fraud_labels
