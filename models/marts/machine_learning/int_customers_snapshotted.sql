with churn_states as (

    select * from {{ ref('churn_states') }}

),

snapshot_days as (

    select * from {{ ref('int_snapshot_days_listed') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

customers_deleted as (

    select
        customer_id,
        {{ business_date('valid_from') }} as deleted_date
    from dim_customer
    where is_current and is_deleted

),

int_customers_snapshotted as (

    select
        churn_states.customer_id,
        snapshot_days.as_of_date,
        snapshot_days.latest_date,
        customers_deleted.deleted_date,
        snapshot_days.as_of
    from snapshot_days
    inner join churn_states
        on
            snapshot_days.as_of_date >= churn_states.valid_from
            and snapshot_days.as_of_date < churn_states.valid_to
    left join customers_deleted on churn_states.customer_id = customers_deleted.customer_id
    where not churn_states.is_churned

)

select * from int_customers_snapshotted
