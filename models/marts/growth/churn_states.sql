with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

sessions as (

    select * from {{ ref('fct_sessions') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

churn_rules as (

    select * from {{ ref('churn_rules') }}

),

latest_order as (

    select {{ add_days('max(ordered_date)', '1') }} as last_judged_date
    from order_lines

),

customers_deleted as (

    select
        customer_id,
        {{ add_days(
            'cast(valid_from as date)',
            'case when valid_from > cast(cast(valid_from as date) as timestamp) then 1 else 0 end'
        ) }} as deleted_date
    from dim_customer
    where is_current and is_deleted

),

customers_active as (

    select
        customer_id,
        ordered_date as active_date,
        true as has_order
    from order_lines
    where customer_id is not null and is_sale

    union

    -- Who it was may be known only by a login at the visit's end, which may be after midnight.
    select
        customer_id,
        cast(ended_at as date) as active_date,
        false as has_order
    from sessions
    where customer_id is not null and not is_bot

),

activity_days as (

    select
        customers_active.customer_id,
        customers_active.active_date,
        latest_order.last_judged_date,
        max(case when customers_active.has_order then customers_active.active_date end)
            as order_date,
        max(case when not customers_active.has_order then customers_active.active_date end)
            as visit_date
    from customers_active
    inner join latest_order on customers_active.active_date < latest_order.last_judged_date
    group by
        customers_active.customer_id,
        customers_active.active_date,
        latest_order.last_judged_date

),

activity_so_far as (

    select
        customer_id,
        active_date,
        order_date,
        min(order_date) over so_far as first_order_date,
        max(order_date) over so_far as last_order_date,
        max(visit_date) over so_far as last_visit_date,
        lead(active_date, 1, last_judged_date) over by_day as next_active_date
    from activity_days
    window
        by_day as (partition by customer_id order by active_date),
        so_far as (
            partition by customer_id
            order by active_date
            rows between unbounded preceding and current row
        )

),

-- Until the next activity, that day included, nothing but time can change a state.
pauses as (

    select * from activity_so_far
    where last_order_date is not null

),

pauses_with_churn as (

    select distinct
        pauses.customer_id,
        pauses.active_date
    from pauses
    inner join churn_rules
        on
            churn_rules.is_churned
            and pauses.next_active_date >= {{ add_days(
                'pauses.last_order_date', 'coalesce(churn_rules.minimum_days_since_order, 1)'
            ) }}
            and (
                pauses.last_visit_date is null
                or pauses.next_active_date >= {{ add_days(
                    'pauses.last_visit_date', 'coalesce(churn_rules.minimum_days_since_visit, 1)'
                ) }}
            )

),

churns_counted as (

    select
        pauses.*,
        count(pauses_with_churn.active_date) over (
            partition by pauses.customer_id
            order by pauses.active_date
            rows between unbounded preceding and 1 preceding
        ) as earlier_churn_count
    from pauses
    left join pauses_with_churn
        on
            pauses.customer_id = pauses_with_churn.customer_id
            and pauses.active_date = pauses_with_churn.active_date

),

orders_preceded as (

    select
        *,
        max(case when order_date is not null then earlier_churn_count end) over (
            partition by customer_id
            order by active_date
            rows between unbounded preceding and 1 preceding
        ) as churn_count_at_previous_order
    from churns_counted

),

starts_found as (

    select
        *,
        max(
            case
                when
                    order_date is not null
                    and earlier_churn_count > coalesce(churn_count_at_previous_order, -1)
                    then order_date
            end
        ) over (
            partition by customer_id
            order by active_date
            rows between unbounded preceding and current row
        ) as start_date
    from orders_preceded

),

days_of_change as (

    select
        starts_found.*,
        {{ add_days('starts_found.active_date', '1') }} as valid_from
    from starts_found

    union

    select
        starts_found.*,
        {{ add_days(
            'starts_found.last_order_date', 'churn_rules.minimum_days_since_order'
        ) }} as valid_from
    from starts_found
    inner join churn_rules on churn_rules.minimum_days_since_order is not null

    union

    select
        starts_found.*,
        {{ add_days(
            'starts_found.last_visit_date', 'churn_rules.minimum_days_since_visit'
        ) }} as valid_from
    from starts_found
    inner join churn_rules on churn_rules.minimum_days_since_visit is not null

    union

    select
        starts_found.*,
        {{ add_days(
            'starts_found.start_date', 'churn_rules.maximum_days_since_start + 1'
        ) }} as valid_from
    from starts_found
    inner join churn_rules on churn_rules.maximum_days_since_start is not null

),

days_within_pauses as (

    select * from days_of_change
    where active_date < valid_from and valid_from <= next_active_date

),

days_judged as (

    select
        days_within_pauses.customer_id,
        days_within_pauses.last_order_date,
        days_within_pauses.valid_from,
        min(churn_rules.priority) as priority
    from days_within_pauses
    left join churn_rules
        on
            days_within_pauses.valid_from >= {{ add_days(
                'days_within_pauses.last_order_date',
                'coalesce(churn_rules.minimum_days_since_order, 1)'
            ) }}
            and (
                days_within_pauses.last_visit_date is null
                or days_within_pauses.valid_from >= {{ add_days(
                    'days_within_pauses.last_visit_date',
                    'coalesce(churn_rules.minimum_days_since_visit, 1)'
                ) }}
            )
            and (
                churn_rules.maximum_days_since_start is null
                or days_within_pauses.valid_from <= {{ add_days(
                    'days_within_pauses.start_date', 'churn_rules.maximum_days_since_start'
                ) }}
            )
            and (
                churn_rules.is_after_return is null
                or churn_rules.is_after_return
                = (days_within_pauses.start_date > days_within_pauses.first_order_date)
            )
    group by
        days_within_pauses.customer_id,
        days_within_pauses.last_order_date,
        days_within_pauses.valid_from

),

states_compared as (

    select
        days_judged.customer_id,
        churn_rules.churn_state,
        lag(churn_rules.churn_state) over states as previous_churn_state,
        churn_rules.is_churned,
        days_judged.valid_from
    from days_judged
    left join churn_rules on days_judged.priority = churn_rules.priority
    window states as (partition by days_judged.customer_id order by days_judged.valid_from)

),

states_entered as (

    select
        states_compared.*,
        customers_deleted.deleted_date
    from states_compared
    left join customers_deleted on states_compared.customer_id = customers_deleted.customer_id
    where
        states_compared.churn_state is distinct from states_compared.previous_churn_state
        and (
            customers_deleted.deleted_date is null
            or states_compared.valid_from < customers_deleted.deleted_date
        )

),

churn_states as (

    select
        states_entered.customer_id,
        states_entered.churn_state,
        states_entered.previous_churn_state,
        states_entered.is_churned,
        lead(states_entered.valid_from) over states is null
        and states_entered.deleted_date is null as is_current,
        states_entered.valid_from,
        coalesce(
            lead(states_entered.valid_from) over states,
            case
                when states_entered.deleted_date <= latest_order.last_judged_date
                    then states_entered.deleted_date
                else {{ add_days('latest_order.last_judged_date', '1') }}
            end
        ) as valid_to
    from states_entered
    cross join latest_order
    window states as (
        partition by states_entered.customer_id order by states_entered.valid_from
    )

)

select * from churn_states
