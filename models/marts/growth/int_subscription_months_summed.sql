with subscription_states as (

    select * from {{ ref('fct_subscription_states') }}

),

charges as (

    select * from {{ ref('fct_subscription_charges') }}

),

subscription_books as (

    select * from {{ ref('int_subscription_books_dated') }}

),

states_begun as (

    select
        *,
        greatest({{ business_date('started_at') }}, {{ business_date('valid_from') }}) as from_date,
        {{ business_date('valid_to') }} as to_date
    from subscription_states

),

days_listed as (

    select {{ list_days(
        'min(states_begun.from_date)', add_days('max(subscription_books.as_of_date)', '-1')
    ) }} as date_day
    from states_begun
    cross join subscription_books

),

months as (

    select date_day as month_end_date
    from days_listed
    where date_day = {{ dbt.last_day('date_day', 'month') }}

),

subscription_months as (

    select
        states_begun.*,
        months.month_end_date
    from states_begun
    inner join months
        on
            states_begun.from_date <= months.month_end_date
            and states_begun.to_date > months.month_end_date

),

charges_by_month as (

    select
        subscription_id,
        currency,
        {{ dbt.last_day(business_date('known_at'), 'month') }} as from_month_end_date,
        sum(amount) as charged_amount
    from charges
    group by subscription_id, currency, {{ dbt.last_day(business_date('known_at'), 'month') }}

),

charges_to_date as (

    select
        subscription_id,
        currency,
        from_month_end_date,
        charged_amount,
        sum(charged_amount) over (
            partition by subscription_id, currency order by from_month_end_date
            rows between unbounded preceding and current row
        ) as total_charged_amount,
        lead(from_month_end_date, 1, cast({{ end_of_time() }} as date)) over (
            partition by subscription_id, currency order by from_month_end_date
        ) as to_month_end_date
    from charges_by_month

),

int_subscription_months_summed as (

    select
        subscription_months.subscription_id,
        subscription_months.customer_id,
        subscription_months.plan,
        subscription_months.status,
        subscription_months.payment_method,
        subscription_months.currency,
        subscription_months.end_reason,
        subscription_months.monthly_amount,
        cast(case
            when
                charges_to_date.from_month_end_date = subscription_months.month_end_date
                then charges_to_date.charged_amount
            else 0
        end as decimal(18, 4)) as charged_in_month_amount,
        cast(
            coalesce(
                charges_to_date.total_charged_amount, subscription_months.total_charged_amount, 0
            ) as decimal(18, 4)
        ) as total_charged_amount,
        subscription_months.contract_months,
        subscription_months.billing_interval_months,
        coalesce(
            {{ business_date('subscription_months.ended_at') }}
            <= subscription_months.month_end_date, false
        ) as is_ended,
        subscription_months.started_at,
        subscription_months.ended_at,
        subscription_months.month_end_date
    from subscription_months
    left join charges_to_date
        on
            subscription_months.subscription_id = charges_to_date.subscription_id
            and subscription_months.currency = charges_to_date.currency
            and subscription_months.month_end_date >= charges_to_date.from_month_end_date
            and subscription_months.month_end_date < charges_to_date.to_month_end_date

)

select * from int_subscription_months_summed
