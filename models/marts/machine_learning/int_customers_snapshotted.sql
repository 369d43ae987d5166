with churn_states as (

    select * from {{ ref('churn_states') }}

),

snapshot_days as (

    select * from {{ ref('int_snapshot_days_listed') }}

),

int_customers_snapshotted as (

    select
        churn_states.customer_id,
        snapshot_days.as_of_date,
        snapshot_days.latest_date,
        snapshot_days.as_of
    from snapshot_days
    inner join churn_states
        on
            snapshot_days.as_of_date >= churn_states.valid_from
            and snapshot_days.as_of_date < churn_states.valid_to
    where not churn_states.is_churned

)

select * from int_customers_snapshotted
