with customers_snapshotted as (

    select * from {{ ref('int_customers_snapshotted') }}

),

sales_days_reached as (

    select * from {{ ref('int_sales_days_reached') }}

),

pauses as (

    select * from {{ ref('int_customer_pauses_bounded') }}

),

sessions as (

    select
        ended_at,
        {{ compute_known_at('ended_at') }} as known_at
    from {{ ref('fct_sessions') }}

),

churn_rules as (

    select * from {{ ref('churn_rules') }}

),

web_days_reached as (

    {{ list_days_reached('sessions', happened_at='ended_at', known_at='known_at') }}

),

-- Within fewer days, a customer who has just ordered cannot become churned.
horizon as (

    select
        max(
            greatest(coalesce(minimum_days_since_order, 1), coalesce(minimum_days_since_visit, 1))
        ) as horizon_days
    from churn_rules
    where is_churned

),

snapshots as (

    select
        customers_snapshotted.*,
        {{ add_days('customers_snapshotted.as_of_date', 'horizon.horizon_days') }} as horizon_date
    from customers_snapshotted
    cross join horizon
    where horizon.horizon_days is not null

),

-- Visits count for a while after they happened, so the data of visits must reach further.
horizons_timed as (

    select
        horizons.horizon_date,
        case
            when sales_days_reached.known_date is null then null
            when not exists (select 1 from sessions) then sales_days_reached.known_date
            when web_days_reached.known_date is not null
                then greatest(sales_days_reached.known_date, web_days_reached.known_date)
        end as known_date
    from (select distinct horizon_date from snapshots) as horizons
    left join sales_days_reached
        on
            {{ covers_day('sales_days_reached', 'horizons.horizon_date') }}
    left join web_days_reached
        on
            {{ covers_day(
                'web_days_reached',
                add_days('horizons.horizon_date', var('allowed_lateness_hours') // 24 + 1),
            ) }}

),

snapshots_timed as (

    select
        snapshots.*,
        case
            when horizons_timed.known_date <= snapshots.latest_date then horizons_timed.known_date
        end as label_known_date
    from snapshots
    inner join horizons_timed on snapshots.horizon_date = horizons_timed.horizon_date

),

-- What was known of the customer on that day, and the pause in which the horizon ends.
outcomes_ranked as (

    select
        snapshots_timed.customer_id,
        snapshots_timed.as_of_date,
        min(churn_rules.priority) as priority
    from snapshots_timed
    inner join pauses
        on
            snapshots_timed.customer_id = pauses.customer_id
            and snapshots_timed.label_known_date >= pauses.known_from_date
            and snapshots_timed.label_known_date <= pauses.last_judged_date
            and snapshots_timed.horizon_date > pauses.active_date
            and snapshots_timed.horizon_date <= pauses.next_active_date
    inner join churn_rules
        on {{ is_rule_met('pauses', 'snapshots_timed.horizon_date', 'churn_rules') }}
    group by snapshots_timed.customer_id, snapshots_timed.as_of_date

),

labels_stated as (

    select
        snapshots_timed.*,
        churn_rules.is_churned,
        case
            when snapshots_timed.deleted_date < snapshots_timed.horizon_date then 'not followed'
            when snapshots_timed.label_known_date is null then 'too recent'
            when churn_rules.is_churned is null then 'not followed'
            else 'known'
        end as label_state
    from snapshots_timed
    left join outcomes_ranked
        on
            snapshots_timed.customer_id = outcomes_ranked.customer_id
            and snapshots_timed.as_of_date = outcomes_ranked.as_of_date
    left join churn_rules on outcomes_ranked.priority = churn_rules.priority

),

label_customer_churn as (

    select
        customer_id,
        label_state,
        case when label_state = 'known' then is_churned end as is_churned,
        as_of,
        {{ begin_business_day('horizon_date') }} as horizon_ends_at,
        case when label_state = 'known' then {{ begin_business_day('label_known_date') }} end
            as label_known_at
    from labels_stated

)

select * from label_customer_churn
