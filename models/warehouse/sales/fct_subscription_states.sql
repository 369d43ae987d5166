with subscription_history as (

    select * from {{ ref('stg_sales__subscription_history') }}

),

subscriptions_numbered as (

    select
        *,
        min(case when _is_backfill and not is_deleted then change_number end) over (
            partition by subscription_id
        ) as first_load_number
    from subscription_history

),

-- The arrival of a first load does not tell when a subscription was known. Its first state counts
-- from the start, as active and without an end; what else it shows was known when it was booked.
first_states as (

    select * from subscriptions_numbered
    where change_number = first_load_number

),

subscription_changes as (

    select
        subscription_id,
        customer_id,
        plan,
        'active' as status,
        payment_method,
        coalesce(currency, {{ no_currency() }}) as currency,
        cast(null as varchar) as end_reason,
        monthly_amount,
        cast(null as decimal(18, 4)) as total_charged_amount,
        contract_months,
        billing_interval_months,
        2 * change_number as change_number,
        is_deleted,
        started_at,
        cast(null as timestamp) as ended_at,
        started_at as changed_at
    from first_states

    union all

    select
        subscription_id,
        customer_id,
        plan,
        coalesce(status, 'active') as status,
        payment_method,
        coalesce(currency, {{ no_currency() }}) as currency,
        end_reason,
        monthly_amount,
        total_charged as total_charged_amount,
        contract_months,
        billing_interval_months,
        2 * change_number + 1 as change_number,
        is_deleted,
        started_at,
        case
            when ended_at is null and status = 'ended' then coalesce(known_at, changed_at)
            else ended_at
        end as ended_at,
        case
            when _is_backfill and not is_deleted
                then coalesce(known_at, least(coalesce(ended_at, started_at), changed_at))
            else coalesce(known_at, changed_at)
        end as changed_at
    from subscription_history

),

known_changes as (

    {{ keep_known_changes('subscription_changes', key='subscription_id') }}

),

versions as (

    {{ build_scd2('known_changes', key='subscription_id', attributes=[
        'customer_id', 'plan', 'status', 'payment_method', 'currency', 'end_reason',
        'monthly_amount', 'total_charged_amount', 'contract_months', 'billing_interval_months',
        'started_at', 'ended_at',
    ]) }}

),

fct_subscription_states as (

    select
        subscription_id,
        customer_id,
        plan,
        status,
        payment_method,
        currency,
        end_reason,
        monthly_amount,
        total_charged_amount,
        contract_months,
        billing_interval_months,
        is_current,
        started_at,
        ended_at,
        changed_at as valid_from,
        valid_to
    from versions
    where not is_deleted

)

select * from fct_subscription_states
