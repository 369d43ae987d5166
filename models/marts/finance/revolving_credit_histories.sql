{%- set horizon_months = var('default_horizon_months') -%}
{%- set default_days = var('default_days_past_due') -%}
{%- set closing_days = var('books_close_days') + 1 -%}

with account_months as (

    select * from {{ ref('int_credit_months_summed') }}

),

line_states as (

    select * from {{ ref('fct_credit_line_states') }}

),

credit_books as (

    select * from {{ ref('int_credit_books_dated') }}

),

arrears_buckets as (

    select * from {{ ref('arrears_buckets') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

-- A limit that was booked later is not that of an earlier month: a statement's own is better.
months_described as (

    select
        account_months.*,
        line_states.customer_id,
        line_states.currency,
        coalesce(
            case
                when
                    account_months.month_end_date
                    >= {{ business_date('line_states.terms_known_at') }}
                    then line_states.limit_amount
            end,
            account_months.limit_amount,
            line_states.limit_amount
        ) as known_limit_amount,
        case
            when account_months.days_past_due > 0
                then least(9, cast(floor(account_months.days_past_due / 30e0) as integer) + 1)
            when account_months.minimum_due_amount is null
                then account_months.source_payment_status
            when account_months.paid_amount >= account_months.balance_amount then -1
            else 0
        end as payment_status,
        ({{ business_date('line_states.closed_at') }} <= account_months.month_end_date) is true
            as is_closed,
        ({{ business_date('line_states.defaulted_at') }} <= account_months.month_end_date) is true
            as is_defaulted,
        {{ dbt.last_day(
            dbt.dateadd('month', horizon_months, 'account_months.month_end_date'), 'month'
        ) }} as label_known_date,
        credit_books.as_of_date,
        {{ add_days('account_months.month_end_date', closing_days) }}
        < credit_books.as_of_date as is_final,
        12 * extract(year from account_months.month_end_date)
        + extract(month from account_months.month_end_date) as month_number
    from account_months
    inner join line_states
        on
            account_months.account_id = line_states.account_id
            and {{ business_date('line_states.valid_from') }} <= account_months.month_end_date
            and {{ business_date('line_states.valid_to') }} > account_months.month_end_date
    cross join credit_books

),

months_classed as (

    select
        months_described.*,
        arrears_buckets.arrears_bucket,
        months_described.is_defaulted
        or coalesce(months_described.days_past_due >= {{ default_days }}, false) as is_in_default,
        months_described.is_closed
        and coalesce(months_described.balance_amount <= months_described.paid_amount, true)
            as is_ended
    from months_described
    left join arrears_buckets
        on
            months_described.days_past_due >= arrears_buckets.minimum_days
            and (months_described.days_past_due <= arrears_buckets.maximum_days) is not false

),

months_followed as (

    select
        *,
        {%- for months in [3, 6, 12] %}
            max(payment_status) over (
                partition by account_id order by month_number
                range between {{ months - 1 }} preceding and current row
            ) as worst_payment_status_{{ months }}_months,
        {%- endfor %}
        count(*) over horizon as followed_count,
        coalesce(max(case when is_in_default then 1 else 0 end) over horizon, 0) = 1
            as has_default_later,
        coalesce(
            lag(is_ended) over (partition by account_id order by month_end_date), false
        ) as was_ended
    from months_classed
    window horizon as (
        partition by account_id order by month_number
        range between 1 following and {{ horizon_months }} following
    )

),

labels_timed as (

    select
        *,
        case
            when is_in_default then 'in default'
            when {{ add_days('label_known_date', closing_days) }} >= as_of_date then 'too recent'
            when not has_default_later and followed_count < {{ horizon_months }} then 'not followed'
            else 'mature'
        end as default_label_status
    from months_followed

),

revolving_credit_histories as (

    select
        labels_timed.account_id,
        labels_timed.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        labels_timed.currency,
        labels_timed.arrears_bucket,
        labels_timed.default_label_status,
        labels_timed.known_limit_amount as limit_amount,
        labels_timed.balance_amount,
        labels_timed.minimum_due_amount,
        labels_timed.paid_amount,
        labels_timed.paid_in_month_amount,
        labels_timed.overdue_amount,
        100 * cast(labels_timed.balance_amount as double)
        / nullif(cast(labels_timed.known_limit_amount as double), 0) as utilisation_pct,
        labels_timed.payment_status,
        labels_timed.worst_payment_status_3_months,
        labels_timed.worst_payment_status_6_months,
        labels_timed.worst_payment_status_12_months,
        labels_timed.days_past_due,
        labels_timed.missed_statement_count,
        labels_timed.is_closed,
        labels_timed.is_defaulted,
        case
            when labels_timed.default_label_status = 'mature' then labels_timed.has_default_later
        end as defaults_within_horizon,
        labels_timed.is_final,
        labels_timed.statement_date,
        labels_timed.due_date,
        labels_timed.label_known_date,
        labels_timed.month_end_date
    from labels_timed
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'labels_timed.customer_id', at='labels_timed.month_end_date'
        ) }}
    where not (labels_timed.is_ended and labels_timed.was_ended)

)

select * from revolving_credit_histories
