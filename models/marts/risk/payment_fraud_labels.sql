with payments as (

    select * from {{ ref('fct_payments') }}

),

chargebacks as (

    select * from {{ ref('fct_chargebacks') }}

),

payments_known as (

    select
        transaction_id,
        is_refund,
        transacted_at,
        _loaded_at,
        {{ compute_known_at('transacted_at') }} as known_at
    from payments

),

reports_known as (

    select
        transaction_id,
        is_fraud,
        reported_at,
        _loaded_at,
        {{ compute_known_at('reported_at', var('fraud_label_delay_days')) }} as known_at
    from chargebacks

),

latest_moments as (

    select max(greatest(known_at, _loaded_at)) as latest_at
    from payments_known

    union all

    select max(greatest(known_at, _loaded_at)) as latest_at
    from reports_known

),

latest_moment as (

    select max(latest_at) as latest_at
    from latest_moments

),

charges as (

    select
        payments_known.transaction_id,
        payments_known.transacted_at,
        payments_known.known_at,
        {{ dbt.dateadd(
            'day', var('fraud_label_maturity_days'), 'payments_known.transacted_at'
        ) }} as matures_at,
        case
            when frauds.known_at is null then {{ end_of_time() }}
            else greatest(frauds.known_at, payments_known.known_at)
        end as fraud_known_at
    from payments_known
    left join reports_known as frauds
        on payments_known.transaction_id = frauds.transaction_id and frauds.is_fraud
    where not payments_known.is_refund

),

-- A lack of reports is evidence up to a time if two things were known: a report arrived at that
-- time or later, and the data had reached that time.
evidence as (

    {% for relation, happened_at, data_known_at, report_arrived_at in [
        ('charges', 'matures_at', 'null', 'null'),
        ('payments_known', 'transacted_at', 'known_at', 'null'),
        ('reports_known', 'reported_at', 'known_at', 'null'),
        ('reports_known', 'known_at', 'null', 'known_at'),
        ('reports_known', '_loaded_at', 'null', '_loaded_at'),
    ] -%}
        select
            {{ happened_at }} as happened_at,
            cast({{ data_known_at }} as timestamp) as data_known_at,
            cast({{ report_arrived_at }} as timestamp) as report_arrived_at
        from {{ relation }}
        {{- '\n\n    union all\n\n    ' if not loop.last }}
    {%- endfor %}

),

evidence_followed as (

    select
        happened_at,
        min(data_known_at) over times_from_here as data_known_at,
        min(report_arrived_at) over times_from_here as report_arrived_at
    from evidence
    window times_from_here as (
        order by happened_at desc
        range between unbounded preceding and current row
    )

),

maturities as (

    select distinct
        happened_at as matures_at,
        case
            when data_known_at is null or report_arrived_at is null then {{ end_of_time() }}
            else greatest(data_known_at, report_arrived_at)
        end as is_evident_at
    from evidence_followed

),

charges_timed as (

    select
        charges.transaction_id,
        charges.transacted_at,
        charges.known_at,
        least(
            greatest(charges.matures_at, charges.known_at), charges.fraud_known_at
        ) as recent_until,
        least(
            greatest(maturities.is_evident_at, charges.known_at), charges.fraud_known_at
        ) as unknown_until,
        greatest(maturities.is_evident_at, charges.known_at) as label_matures_at,
        charges.fraud_known_at
    from charges
    inner join maturities on charges.matures_at = maturities.matures_at

),

all_labels as (

    {% for label_state, fraud_status, is_fraud, valid_from, valid_to in [
        ('too recent', 'unknown', 'null', 'known_at', 'recent_until'),
        ('unobserved', 'unknown', 'null', 'recent_until', 'unknown_until'),
        ('known', 'presumed legitimate', 'false', 'unknown_until', 'fraud_known_at'),
        ('known', 'fraud', 'true', 'fraud_known_at', end_of_time()),
    ] -%}
        select
            transaction_id,
            '{{ fraud_status }}' as fraud_status,
            '{{ label_state }}' as label_state,
            cast({{ is_fraud }} as boolean) as is_fraud,
            transacted_at,
            label_matures_at,
            {{ valid_from }} as valid_from,
            {{ valid_to }} as valid_to
        from charges_timed
        where {{ valid_from }} < {{ valid_to }}
        {{- '\n\n    union all\n\n    ' if not loop.last }}
    {%- endfor %}

),

payment_fraud_labels as (

    select
        all_labels.transaction_id,
        all_labels.fraud_status,
        all_labels.label_state,
        all_labels.is_fraud,
        all_labels.valid_from <= latest_moment.latest_at
        and latest_moment.latest_at < all_labels.valid_to as is_current,
        all_labels.transacted_at,
        all_labels.label_matures_at,
        all_labels.valid_from,
        all_labels.valid_to
    from all_labels
    cross join latest_moment

)

select * from payment_fraud_labels
