with loans as (

    select * from {{ ref('fct_loans') }}

),

loan_history as (

    select * from {{ ref('stg_lending__loan_history') }}

),

instalment_states as (

    select * from {{ ref('fct_loan_instalment_states') }}

),

arrears_buckets as (

    select * from {{ ref('arrears_buckets') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

-- A loan that was deleted and came back has no gap in which nobody would know what was lent.
loan_states as (

    select * from loan_history
    where not is_deleted

),

loan_versions as (

    {{ build_scd2('loan_states', key='loan_id', attributes=[
        'principal', 'annual_rate_pct', 'defaulted_at',
    ]) }}

),

latest_bookings as (

    select max(valid_from) as latest_at
    from instalment_states

    union all

    select max(opened_at) as latest_at
    from loans

    union all

    select max(defaulted_at) as latest_at
    from loans

),

latest_booking as (

    select cast(max(latest_at) as date) as latest_date
    from latest_bookings

),

days_bounded as (

    select
        min(loans.opened_date) as first_day,
        max(latest_booking.latest_date) - interval '1' day as last_day
    from loans
    cross join latest_booking

),

days_listed as (

    select {{ list_days('first_day', 'last_day') }} as date_day
    from days_bounded

),

months as (

    select date_day as month_end_date
    from days_listed
    where date_day = {{ dbt.last_day('date_day', 'month') }}

),

loan_months as (

    select
        loans.loan_id,
        months.month_end_date
    from loans
    inner join months on loans.opened_date <= months.month_end_date

),

-- A state holds at the ends of the months from one up to another, which is out.
states_by_month as (

    select
        instalment_states.loan_id,
        instalment_states.instalment_number,
        instalment_states.due_amount,
        instalment_states.paid_amount,
        instalment_states.outstanding_amount,
        case when instalment_states.is_settled then 1 else 0 end as settled_count,
        instalment_states.due_date,
        {{ dbt.last_day('instalment_states.due_date', 'month') }} as due_month_end_date,
        greatest(
            {{ dbt.last_day('instalment_states.valid_from', 'month') }},
            {{ dbt.last_day('loans.opened_date', 'month') }}
        ) as from_month_end_date,
        case
            when instalment_states.valid_to = {{ end_of_time() }}
                then cast({{ end_of_time() }} as date)
            else {{ dbt.last_day('instalment_states.valid_to', 'month') }}
        end as to_month_end_date
    from instalment_states
    inner join loans on instalment_states.loan_id = loans.loan_id

),

-- What each state adds from a month on, and takes away again when another follows it.
changes as (

    select
        loan_id,
        from_month_end_date as month_end_date,
        paid_amount,
        settled_count,
        1 as instalment_count,
        cast(0 as decimal(18, 4)) as due_amount
    from states_by_month
    where from_month_end_date < to_month_end_date

    union all

    select
        loan_id,
        to_month_end_date as month_end_date,
        -paid_amount as paid_amount,
        -settled_count as settled_count,
        -1 as instalment_count,
        cast(0 as decimal(18, 4)) as due_amount
    from states_by_month
    where from_month_end_date < to_month_end_date

    union all

    select
        loan_id,
        greatest(from_month_end_date, due_month_end_date) as month_end_date,
        cast(0 as decimal(18, 4)) as paid_amount,
        0 as settled_count,
        0 as instalment_count,
        due_amount
    from states_by_month
    where greatest(from_month_end_date, due_month_end_date) < to_month_end_date

    union all

    select
        loan_id,
        to_month_end_date as month_end_date,
        cast(0 as decimal(18, 4)) as paid_amount,
        0 as settled_count,
        0 as instalment_count,
        -due_amount as due_amount
    from states_by_month
    where greatest(from_month_end_date, due_month_end_date) < to_month_end_date

),

changes_of_month as (

    select
        loan_id,
        month_end_date,
        sum(paid_amount) as paid_amount,
        sum(settled_count) as settled_count,
        sum(instalment_count) as instalment_count,
        sum(due_amount) as due_amount
    from changes
    group by loan_id, month_end_date

),

sums_to_month as (

    select
        loan_months.loan_id,
        loan_months.month_end_date,
        coalesce(changes_of_month.due_amount, 0) as due_amount,
        coalesce(changes_of_month.paid_amount, 0) as paid_amount,
        coalesce(sum(changes_of_month.due_amount) over to_date, 0) as due_to_date_amount,
        coalesce(sum(changes_of_month.paid_amount) over to_date, 0) as paid_to_date_amount,
        coalesce(sum(changes_of_month.settled_count) over to_date, 0) as settled_count,
        coalesce(sum(changes_of_month.instalment_count) over to_date, 0) as instalment_count
    from loan_months
    left join changes_of_month
        on
            loan_months.loan_id = changes_of_month.loan_id
            and loan_months.month_end_date = changes_of_month.month_end_date
    window to_date as (
        partition by loan_months.loan_id order by loan_months.month_end_date
        rows between unbounded preceding and current row
    )

),

arrears as (

    select
        states_by_month.loan_id,
        months.month_end_date,
        min(states_by_month.due_date) as oldest_due_date,
        count(*) as missed_instalment_count,
        sum(states_by_month.outstanding_amount) as overdue_amount
    from states_by_month
    inner join months
        on
            states_by_month.due_date < months.month_end_date
            and states_by_month.from_month_end_date <= months.month_end_date
            and states_by_month.to_month_end_date > months.month_end_date
    where states_by_month.settled_count = 0
    group by states_by_month.loan_id, months.month_end_date

),

-- The loan as it was known at the month's end, and the plan's own length: however often the plan
-- was changed, nothing is owed of the principal once all of it is paid.
months_described as (

    select
        loans.loan_id,
        loans.customer_id,
        loans.currency,
        loan_versions.principal as principal_amount,
        {{ compute_annuity_balance(
            'loan_versions.principal', 'loan_versions.annual_rate_pct',
            'coalesce(nullif(sums_to_month.instalment_count, 0), loans.term_months)',
            'sums_to_month.settled_count',
        ) }} as outstanding_principal_amount,
        sums_to_month.due_amount,
        sums_to_month.paid_amount,
        sums_to_month.due_to_date_amount,
        sums_to_month.paid_to_date_amount,
        coalesce(arrears.overdue_amount, 0) as overdue_amount,
        sums_to_month.settled_count,
        sums_to_month.instalment_count,
        coalesce(arrears.missed_instalment_count, 0) as missed_instalment_count,
        coalesce({{ count_days_past_due(
            'arrears.oldest_due_date', 'null', 'sums_to_month.month_end_date'
        ) }}, 0) as days_past_due,
        sums_to_month.instalment_count > 0
        and sums_to_month.settled_count = sums_to_month.instalment_count as is_paid_back,
        coalesce(
            cast(loan_versions.defaulted_at as date) <= sums_to_month.month_end_date, false
        ) as is_defaulted,
        sums_to_month.month_end_date,
        12 * extract(year from sums_to_month.month_end_date)
        + extract(month from sums_to_month.month_end_date) as month_number
    from sums_to_month
    inner join loans on sums_to_month.loan_id = loans.loan_id
    inner join loan_versions
        on
            sums_to_month.loan_id = loan_versions.loan_id
            and cast(loan_versions.valid_from as date) <= sums_to_month.month_end_date
            and cast(loan_versions.valid_to as date) > sums_to_month.month_end_date
    left join arrears
        on
            sums_to_month.loan_id = arrears.loan_id
            and sums_to_month.month_end_date = arrears.month_end_date

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

-- The highest of severity and month in one number is the worst month, and of equals the last.
months_compared as (

    select
        *,
        max(severity) over (
            partition by loan_id order by month_end_date
            rows between 2 preceding and current row
        ) as worst_severity_3_months,
        max(severity) over (
            partition by loan_id order by month_end_date
            rows between 5 preceding and current row
        ) as worst_severity_6_months,
        max(severity) over (
            partition by loan_id order by month_end_date
            rows between 11 preceding and current row
        ) as worst_severity_12_months,
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
        worst_of_3_months.arrears_bucket as worst_bucket_3_months,
        worst_of_6_months.arrears_bucket as worst_bucket_6_months,
        worst_of_12_months.arrears_bucket as worst_bucket_12_months,
        months_compared.principal_amount,
        months_compared.outstanding_principal_amount,
        cast(months_compared.due_amount as decimal(18, 4)) as due_amount,
        cast(months_compared.paid_amount as decimal(18, 4)) as paid_amount,
        cast(months_compared.due_to_date_amount as decimal(18, 4)) as due_to_date_amount,
        cast(months_compared.paid_to_date_amount as decimal(18, 4)) as paid_to_date_amount,
        cast(months_compared.overdue_amount as decimal(18, 4)) as overdue_amount,
        100 * cast(months_compared.outstanding_principal_amount as double)
        / cast(months_compared.principal_amount as double) as utilisation_pct,
        cast(months_compared.instalment_count as bigint) as instalment_count,
        cast(months_compared.settled_count as bigint) as settled_instalment_count,
        months_compared.missed_instalment_count,
        cast(months_compared.days_past_due as integer) as days_past_due,
        cast(case
            when months_compared.worst_severity_12_months > 0
                then
                    months_compared.month_number - months_compared.worst_month_12_months
                    + 100000 * months_compared.worst_severity_12_months
        end as integer) as months_since_worst,
        months_compared.is_paid_back,
        months_compared.is_defaulted,
        months_compared.month_end_date
    from months_compared
    left join arrears_buckets as worst_of_3_months
        on months_compared.worst_severity_3_months = worst_of_3_months.severity
    left join arrears_buckets as worst_of_6_months
        on months_compared.worst_severity_6_months = worst_of_6_months.severity
    left join arrears_buckets as worst_of_12_months
        on months_compared.worst_severity_12_months = worst_of_12_months.severity
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'months_compared.customer_id', at='months_compared.month_end_date'
        ) }}
    where not (months_compared.is_paid_back and months_compared.was_paid_back)

)

select * from credit_histories
