with pauses as (

    select * from {{ ref('int_customer_pauses_bounded') }}

),

order_days as (

    select * from {{ ref('int_order_days_known') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

churn_rules as (

    select * from {{ ref('churn_rules') }}

),

customers_deleted as (

    select
        customer_id,
        {{ add_days(business_date("valid_from - interval '1' microsecond"), '1') }}
            as deleted_date
    from dim_customer
    where is_current and is_deleted

),

days_of_change as (

    {{ list_days_of_change('pauses', 'churn_rules') }}

),

-- Through the day of the next activity, only time can change a state. A day on which no order is
-- known any more has no state.
days_listed as (

    select
        customer_id,
        first_order_date,
        last_order_date,
        last_visit_date,
        start_date,
        valid_from
    from days_of_change
    where
        active_date < valid_from
        and valid_from <= next_active_date
        and valid_from >= known_from_date

    union all

    select distinct
        customer_id,
        cast(null as date) as first_order_date,
        cast(null as date) as last_order_date,
        cast(null as date) as last_visit_date,
        cast(null as date) as start_date,
        known_from_date as valid_from
    from order_days
    where known_from_date > cast({{ beginning_of_time() }} as date)

),

days_judged as (

    select
        days_listed.customer_id,
        days_listed.valid_from,
        min(churn_rules.priority) as priority
    from days_listed
    left join churn_rules
        on
            days_listed.last_order_date is not null
            and {{ is_rule_met('days_listed', 'days_listed.valid_from', 'churn_rules') }}
    group by
        days_listed.customer_id,
        days_listed.valid_from

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

last_day as (

    select max(last_judged_date) as last_judged_date
    from order_days

),

states_bounded as (

    select
        states_entered.*,
        lead(states_entered.valid_from) over states as next_valid_from,
        last_day.last_judged_date
    from states_entered
    cross join last_day
    window states as (partition by states_entered.customer_id order by states_entered.valid_from)

),

churn_states as (

    select
        customer_id,
        churn_state,
        previous_churn_state,
        is_churned,
        next_valid_from is null and deleted_date is null as is_current,
        valid_from,
        coalesce(
            next_valid_from,
            case
                when deleted_date <= last_judged_date then deleted_date
                else {{ add_days('last_judged_date', '1') }}
            end
        ) as valid_to
    from states_bounded
    where churn_state is not null

)

select * from churn_states
