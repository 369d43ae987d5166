with loans as (

    select * from {{ ref('int_loans_known') }}

),

loan_history as (

    select * from {{ ref('stg_lending__loan_history') }}

),

loan_months as (

    select * from {{ ref('int_loan_months_summed') }}

),

arrears_buckets as (

    select * from {{ ref('arrears_buckets') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

loan_books as (

    select * from {{ ref('int_loan_books_dated') }}

),

-- A loan that was deleted and came back has no gap. A default counts from its booking.
loan_states as (

    select
        loan_id,
        customer_id,
        coalesce(currency, {{ no_currency() }}) as currency,
        principal,
        annual_rate_pct,
        change_number,
        is_deleted,
        case when known_at > defaulted_at then known_at else defaulted_at end as default_known_at,
        coalesce(known_at, changed_at) as changed_at
    from loan_history
    where not is_deleted

),

known_changes as (

    {{ keep_known_changes('loan_states', key='loan_id') }}

),

loan_versions as (

    {{ build_scd2('known_changes', key='loan_id', attributes=[
        'customer_id', 'currency', 'principal', 'annual_rate_pct', 'default_known_at',
    ]) }}

),

-- The loan as known at the month's end, and the plan's own length. With this length the outstanding
-- principal is 0 once the loan is paid back, however often the plan has changed.
months_described as (

    select
        loan_months.*,
        loan_versions.customer_id,
        loan_versions.currency,
        loan_versions.principal as principal_amount,
        {{ compute_annuity_balance(
            'loan_versions.principal', 'loan_versions.annual_rate_pct',
            'coalesce(nullif(loan_months.instalment_count, 0), loans.term_months)',
            'loan_months.settled_instalment_count',
        ) }} as outstanding_principal_amount,
        loan_months.instalment_count > 0
        and loan_months.settled_instalment_count = loan_months.instalment_count as is_paid_back,
        (
            {{ business_date('loan_versions.default_known_at') }} <= loan_months.month_end_date
        ) is true as is_defaulted,
        loan_versions.changed_at as terms_known_at,
        {{ add_days('loan_months.month_end_date', var('books_close_days') + 1) }}
        < (select loan_books.as_of_date from loan_books) as is_final,
        12 * extract(year from loan_months.month_end_date)
        + extract(month from loan_months.month_end_date) as month_number
    from loan_months
    inner join loans on loan_months.loan_id = loans.loan_id
    inner join loan_versions
        on
            loan_months.loan_id = loan_versions.loan_id
            and {{ business_date('loan_versions.valid_from') }} <= loan_months.month_end_date
            and {{ business_date('loan_versions.valid_to') }} > loan_months.month_end_date

),

months_classed as (

    select
        months_described.*,
        arrears_buckets.arrears_bucket,
        arrears_buckets.severity
    from months_described
    left join arrears_buckets
        on
            months_described.days_past_due >= arrears_buckets.minimum_days
            and (months_described.days_past_due <= arrears_buckets.maximum_days) is not false

),

-- One number holds severity and month, so its maximum is the worst month; ties go to the last.
months_compared as (

    select
        *,
        {%- for months in [3, 6, 12] %}
            max(severity) over (
                partition by loan_id order by month_end_date
                rows between {{ months - 1 }} preceding and current row
            ) as worst_severity_{{ months }}_months,
        {%- endfor %}
        max(100000 * severity + month_number) over (
            partition by loan_id order by month_end_date
            rows between 11 preceding and current row
        ) as worst_month_12_months,
        coalesce(
            lag(is_paid_back) over (partition by loan_id order by month_end_date), false
        ) as was_paid_back
    from months_classed

),

credit_histories as (

    select
        months_compared.loan_id,
        months_compared.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        months_compared.currency,
        months_compared.arrears_bucket,
        {%- for months in [3, 6, 12] %}
            worst_of_{{ months }}_months.arrears_bucket as worst_bucket_{{ months }}_months,
        {%- endfor %}
        months_compared.principal_amount,
        months_compared.outstanding_principal_amount,
        months_compared.due_in_month_amount,
        months_compared.paid_in_month_amount,
        months_compared.due_to_date_amount,
        months_compared.paid_to_date_amount,
        months_compared.overdue_amount,
        100 * cast(months_compared.outstanding_principal_amount as double)
        / cast(months_compared.principal_amount as double) as utilisation_pct,
        months_compared.instalment_count,
        months_compared.settled_instalment_count,
        months_compared.missed_instalment_count,
        months_compared.days_past_due,
        cast(case
            when months_compared.worst_severity_12_months > 0
                then
                    months_compared.month_number - months_compared.worst_month_12_months
                    + 100000 * months_compared.worst_severity_12_months
        end as integer) as months_since_worst,
        months_compared.is_paid_back,
        months_compared.is_defaulted,
        months_compared.is_final,
        months_compared.terms_known_at,
        months_compared.month_end_date
    from months_compared
    {% for months in [3, 6, 12] %}
        left join arrears_buckets as worst_of_{{ months }}_months
            on
                months_compared.worst_severity_{{ months }}_months
                = worst_of_{{ months }}_months.severity
    {% endfor %}
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'months_compared.customer_id', at='months_compared.month_end_date'
        ) }}
    where not (months_compared.is_paid_back and months_compared.was_paid_back)

)

select * from credit_histories
