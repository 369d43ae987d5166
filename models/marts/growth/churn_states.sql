with pauses as (

    select * from {{ ref('int_customer_pauses_bounded') }}

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
        {{ add_days(
            'cast(valid_from as date)',
            'case when valid_from > cast(cast(valid_from as date) as timestamp) then 1 else 0 end'
        ) }} as deleted_date
    from dim_customer
    where is_current and is_deleted

),

days_of_change as (

    select
        pauses.*,
        {{ add_days('pauses.active_date', '1') }} as valid_from
    from pauses

    union all

    select
        pauses.*,
        {{ add_days(
            'pauses.last_order_date', 'churn_rules.minimum_days_since_order'
        ) }} as valid_from
    from pauses
    inner join churn_rules on churn_rules.minimum_days_since_order is not null

    union all

    select
        pauses.*,
        {{ add_days(
            'pauses.last_visit_date', 'churn_rules.minimum_days_since_visit'
        ) }} as valid_from
    from pauses
    inner join churn_rules on churn_rules.minimum_days_since_visit is not null

    union all

    select
        pauses.*,
        {{ add_days(
            'pauses.start_date', 'churn_rules.maximum_days_since_start + 1'
        ) }} as valid_from
    from pauses
    inner join churn_rules on churn_rules.maximum_days_since_start is not null

),

-- Through the day of the next activity, only time can change a state.
days_within_pauses as (

    select * from days_of_change
    where active_date < valid_from and valid_from <= next_active_date

),

days_judged as (

    select
        days_within_pauses.customer_id,
        days_within_pauses.last_judged_date,
        days_within_pauses.valid_from,
        min(churn_rules.priority) as priority
    from days_within_pauses
    left join churn_rules
        on
            {{ is_inactive_enough(
                'days_within_pauses', 'days_within_pauses.valid_from', 'churn_rules'
            ) }}
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
        days_within_pauses.last_judged_date,
        days_within_pauses.valid_from

),

states_compared as (

    select
        days_judged.customer_id,
        churn_rules.churn_state,
        lag(churn_rules.churn_state) over states as previous_churn_state,
        churn_rules.is_churned,
        days_judged.valid_from,
        days_judged.last_judged_date
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
        customer_id,
        churn_state,
        previous_churn_state,
        is_churned,
        lead(valid_from) over states is null and deleted_date is null as is_current,
        valid_from,
        coalesce(
            lead(valid_from) over states,
            case
                when deleted_date <= last_judged_date then deleted_date
                else {{ add_days('last_judged_date', '1') }}
            end
        ) as valid_to
    from states_entered
    window states as (partition by customer_id order by valid_from)

)

select * from churn_states
