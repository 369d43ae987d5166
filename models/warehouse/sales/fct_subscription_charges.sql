with charges as (

    select * from {{ ref('stg_sales__subscription_charges') }}

),

subscription_states as (

    select * from {{ ref('fct_subscription_states') }}

),

states_numbered as (

    select
        *,
        row_number() over (partition by subscription_id order by valid_from) as state_number
    from subscription_states

),

-- A charge without a currency has that of its subscription when it was charged, or the first one.
fct_subscription_charges as (

    select
        charges.charge_id,
        charges.subscription_id,
        coalesce(charges.currency, states_numbered.currency, {{ no_currency() }}) as currency,
        charges.amount,
        {{ business_date('charges.charged_at') }} as charged_date,
        charges.charged_at,
        charges.known_at,
        charges._loaded_at,
        charges._is_backfill
    from charges
    left join states_numbered
        on
            charges.subscription_id = states_numbered.subscription_id
            and charges.charged_at < states_numbered.valid_to
            and (
                charges.charged_at >= states_numbered.valid_from
                or states_numbered.state_number = 1
            )

)

select * from fct_subscription_charges
