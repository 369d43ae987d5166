{{ config(materialized='table_function', parameters=['horizon_days']) }}

with customers_snapshotted as (

    select * from {{ ref('int_customers_snapshotted').include(database=false) }}

),

churn_states as (

    select * from {{ ref('churn_states').include(database=false) }}

),

sales_days_reached as (

    select * from {{ ref('int_sales_days_reached').include(database=false) }}

),

-- After an outage, a state of its days does not know the orders that arrived later.
labels_known as (

    select
        customers_snapshotted.customer_id,
        churn_states.is_churned,
        customers_snapshotted.as_of,
        {{ begin_business_day(
            add_days('customers_snapshotted.as_of_date', 'horizon_days')
        ) }} as horizon_ends_at,
        {{ begin_business_day('sales_days_reached.known_date') }} as label_known_at,
        {{ assign_fold('customers_snapshotted.customer_id', 5) }} as fold
    from customers_snapshotted
    inner join churn_states
        on
            customers_snapshotted.customer_id = churn_states.customer_id
            and {{ add_days('customers_snapshotted.as_of_date', 'horizon_days') }}
            >= churn_states.valid_from
            and {{ add_days('customers_snapshotted.as_of_date', 'horizon_days') }}
            < churn_states.valid_to
    inner join sales_days_reached
        on
            {{ covers_day(
                'sales_days_reached',
                add_days('customers_snapshotted.as_of_date', 'horizon_days'),
            ) }}
    where
        sales_days_reached.known_date <= customers_snapshotted.latest_date
        and sales_days_reached.known_date
        <= {{ add_days('customers_snapshotted.as_of_date', 'horizon_days + 7') }}

),

cut as (

    select quantile_disc(as_of, 0.8) as first_test_at
    from labels_known

),

labels_split as (

    select
        labels_known.*,
        case
            when labels_known.as_of >= cut.first_test_at then 'test'
            when labels_known.label_known_at <= cut.first_test_at then 'train'
            else 'gap'
        end as split
    from labels_known
    cross join cut

),

churn_training_set as (

    {{ leave_out_database(describe_customers_at('labels_split', columns=[
        'customer_id', 'is_churned', 'split', 'as_of', 'horizon_ends_at', 'label_known_at', 'fold',
    ])) }}

)

select * from churn_training_set
