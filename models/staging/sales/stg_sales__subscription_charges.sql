with ordered_changes as (

    {{ order_changes('sales.subscription_charges', key='charge_id') }}

),

stg_sales__subscription_charges as (

    select
        charge_id,
        subscription_id,
        currency,
        amount,
        charged_at,
        {{ find_known_at('charged_at') }} as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes
    where _number_from_last = 1 and not _is_tombstone

)

select * from stg_sales__subscription_charges
