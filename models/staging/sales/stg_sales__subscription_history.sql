with ordered_changes as (

    {{ order_changes('sales.subscriptions', key='subscription_id') }}

),

stg_sales__subscription_history as (

    select
        subscription_id,
        customer_id,
        plan,
        status,
        payment_method,
        currency,
        end_reason,
        monthly_amount,
        total_charged,
        contract_months,
        billing_interval_months,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        started_at,
        ended_at,
        _changed_at as changed_at,
        {{ find_known_at('updated_at') }} as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_sales__subscription_history
