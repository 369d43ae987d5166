with order_days as (

    select * from {{ ref('int_order_days_known') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

churn_rules as (

    select * from {{ ref('churn_rules') }}

),

views_listed as (

    select distinct
        customer_id,
        known_from_date,
        last_judged_date
    from order_days

),

customers_active as (

    select
        customer_id,
        known_from_date,
        last_judged_date,
        ordered_date as active_date,
        true as has_order
    from order_days
    where ordered_date is not null

    union

    -- Only a login at the visit's end may identify the customer, and it may be after midnight.
    select
        views_listed.customer_id,
        views_listed.known_from_date,
        views_listed.last_judged_date,
        {{ business_date('sessions.ended_at') }} as active_date,
        false as has_order
    from sessions
    inner join views_listed on sessions.customer_id = views_listed.customer_id
    where not sessions.is_bot

),

activity_days as (

    select
        customer_id,
        known_from_date,
        active_date,
        last_judged_date,
        max(case when has_order then active_date end) as order_date,
        max(case when not has_order then active_date end) as visit_date
    from customers_active
    where active_date < last_judged_date
    group by customer_id, known_from_date, active_date, last_judged_date

),

activity_so_far as (

    select
        customer_id,
        known_from_date,
        active_date,
        last_judged_date,
        order_date,
        min(order_date) over so_far as first_order_date,
        max(order_date) over so_far as last_order_date,
        max(visit_date) over so_far as last_visit_date,
        lead(active_date, 1, last_judged_date) over by_day as next_active_date
    from activity_days
    window
        by_day as (partition by customer_id, known_from_date order by active_date),
        so_far as (
            partition by customer_id, known_from_date
            order by active_date
            rows between unbounded preceding and current row
        )

),

pauses as (

    select * from activity_so_far
    where last_order_date is not null

),

pauses_with_churn as (

    select distinct
        pauses.customer_id,
        pauses.known_from_date,
        pauses.active_date
    from pauses
    inner join churn_rules
        on
            churn_rules.is_churned
            and {{ is_inactive_enough('pauses', 'pauses.next_active_date', 'churn_rules') }}

),

churns_counted as (

    select
        pauses.*,
        count(pauses_with_churn.active_date) over (
            partition by pauses.customer_id, pauses.known_from_date
            order by pauses.active_date
            rows between unbounded preceding and 1 preceding
        ) as earlier_churn_count
    from pauses
    left join pauses_with_churn
        on
            pauses.customer_id = pauses_with_churn.customer_id
            and pauses.known_from_date = pauses_with_churn.known_from_date
            and pauses.active_date = pauses_with_churn.active_date

),

orders_preceded as (

    select
        *,
        max(case when order_date is not null then earlier_churn_count end) over (
            partition by customer_id, known_from_date
            order by active_date
            rows between unbounded preceding and 1 preceding
        ) as churn_count_at_previous_order
    from churns_counted

),

int_customer_pauses_bounded as (

    select
        customer_id,
        known_from_date,
        active_date,
        next_active_date,
        first_order_date,
        last_order_date,
        last_visit_date,
        max(
            case
                when
                    order_date is not null
                    and earlier_churn_count > coalesce(churn_count_at_previous_order, -1)
                    then order_date
            end
        ) over (
            partition by customer_id, known_from_date
            order by active_date
            rows between unbounded preceding and current row
        ) as start_date,
        last_judged_date
    from orders_preceded

)

select * from int_customer_pauses_bounded
