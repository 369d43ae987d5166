{%- set horizon_days = var('customer_value_horizon_days') -%}

with customers_snapshotted as (

    select * from {{ ref('int_customers_snapshotted') }}

),

sales_days_reached as (

    select * from {{ ref('int_sales_days_reached') }}

),

order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

line_changes as (

    select * from {{ ref('fct_order_line_changes') }}

),

currencies_used as (

    select
        customer_id,
        currency,
        {{ business_date('min(valid_from)') }} as first_known_date
    from order_changes
    where customer_id is not null and is_sale
    group by customer_id, currency

),

snapshots_timed as (

    select
        customers_snapshotted.customer_id,
        currencies_used.currency,
        customers_snapshotted.as_of_date,
        customers_snapshotted.deleted_date,
        {{ add_days('customers_snapshotted.as_of_date', horizon_days) }} as horizon_date,
        case
            when sales_days_reached.known_date <= customers_snapshotted.latest_date
                then sales_days_reached.known_date
        end as label_known_date,
        customers_snapshotted.as_of
    from customers_snapshotted
    inner join currencies_used
        on
            customers_snapshotted.customer_id = currencies_used.customer_id
            and customers_snapshotted.as_of_date > currencies_used.first_known_date
    left join sales_days_reached
        on
            {{ covers_day(
                'sales_days_reached',
                add_days('customers_snapshotted.as_of_date', horizon_days),
            ) }}

),

sales_of_horizon as (

    select
        snapshots_timed.customer_id,
        snapshots_timed.currency,
        snapshots_timed.as_of,
        sum(line_changes.net_amount) as net_sales_amount
    from snapshots_timed
    inner join line_changes
        on
            snapshots_timed.customer_id = line_changes.customer_id
            and snapshots_timed.currency = line_changes.currency
            and snapshots_timed.as_of_date <= line_changes.ordered_date
            and snapshots_timed.horizon_date > line_changes.ordered_date
            and {{ begin_business_day('snapshots_timed.label_known_date') }}
            > line_changes.valid_from
            and {{ begin_business_day('snapshots_timed.label_known_date') }}
            <= line_changes.valid_to
    where line_changes.is_in_net_sales
    group by snapshots_timed.customer_id, snapshots_timed.currency, snapshots_timed.as_of

),

labels_stated as (

    select
        snapshots_timed.*,
        coalesce(sales_of_horizon.net_sales_amount, 0) as net_sales_amount,
        case
            when snapshots_timed.deleted_date < snapshots_timed.horizon_date then 'not followed'
            when snapshots_timed.label_known_date is null then 'too recent'
            else 'known'
        end as label_state
    from snapshots_timed
    left join sales_of_horizon
        on
            snapshots_timed.customer_id = sales_of_horizon.customer_id
            and snapshots_timed.currency = sales_of_horizon.currency
            and snapshots_timed.as_of = sales_of_horizon.as_of

),

label_customer_value as (

    select
        customer_id,
        currency,
        label_state,
        case when label_state = 'known' then cast(net_sales_amount as double) end
            as horizon_net_sales_amount,
        as_of,
        {{ begin_business_day('horizon_date') }} as horizon_ends_at,
        case when label_state = 'known' then {{ begin_business_day('label_known_date') }} end
            as label_known_at
    from labels_stated

)

select * from label_customer_value
