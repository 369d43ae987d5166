with orders as (

    select * from {{ ref('fct_orders') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}
    where not is_bot

),

dim_date as (

    select * from {{ ref('dim_date') }}

),

activity_months as (

    select
        'order' as cohort_basis,
        customer_id as member_id,
        cast(date_trunc('month', ordered_date) as date) as activity_month
    from orders
    where customer_id is not null and is_sale

    union

    select
        'session' as cohort_basis,
        visitor_id as member_id,
        cast(date_trunc('month', started_date) as date) as activity_month
    from sessions

),

members_placed as (

    select
        cohort_basis,
        activity_month,
        min(activity_month) over (partition by cohort_basis, member_id) as cohort_month
    from activity_months

),

members_counted as (

    select
        cohort_basis,
        cohort_month,
        activity_month,
        count(*) as active_member_count
    from members_placed
    group by cohort_basis, cohort_month, activity_month

),

-- A cohort's first month contains all its members, so its count is the size of the cohort.
cohorts as (

    select
        cohort_basis,
        cohort_month,
        active_member_count as member_count
    from members_counted
    where activity_month = cohort_month

),

bases_bounded as (

    select
        cohort_basis,
        min(activity_month) as first_month,
        max(activity_month) as last_month
    from members_counted
    group by cohort_basis

),

months_listed as (

    select distinct
        bases_bounded.cohort_basis,
        bases_bounded.last_month,
        dim_date.first_day_of_month as activity_month
    from bases_bounded
    inner join dim_date
        on
            bases_bounded.first_month <= dim_date.date_day
            and bases_bounded.last_month >= dim_date.first_day_of_month

),

retention_cohorts as (

    select
        cohorts.cohort_basis,
        cast(
            {{ dbt.datediff('cohorts.cohort_month', 'months_listed.activity_month', 'month') }}
            as integer
        ) as months_since_first,
        cohorts.member_count,
        coalesce(members_counted.active_member_count, 0) as active_member_count,
        months_listed.activity_month < months_listed.last_month as is_complete,
        cohorts.cohort_month,
        months_listed.activity_month
    from cohorts
    inner join months_listed
        on
            cohorts.cohort_basis = months_listed.cohort_basis
            and cohorts.cohort_month <= months_listed.activity_month
    left join members_counted
        on
            cohorts.cohort_basis = members_counted.cohort_basis
            and cohorts.cohort_month = members_counted.cohort_month
            and months_listed.activity_month = members_counted.activity_month

)

select * from retention_cohorts
