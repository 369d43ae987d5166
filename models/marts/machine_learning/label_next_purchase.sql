{%- set horizon_days = var('next_purchase_horizon_days') -%}

with customers_snapshotted as (

    select * from {{ ref('int_customers_snapshotted') }}
    where {{ assign_fold('customer_id', var('next_purchase_one_customer_of')) }} = 0

),

sales_days_reached as (

    select * from {{ ref('int_sales_days_reached') }}

),

lines_sold as (

    select
        *,
        {{ business_date('valid_from') }} as known_date
    from {{ ref('fct_order_line_changes') }}
    where product_id is not null and is_sale

),

candidates as (

    {{ list_purchase_candidates('customers_snapshotted', lines_sold='lines_sold') }}

),

horizons_timed as (

    select
        snapshot_days.as_of_date,
        snapshot_days.horizon_date,
        case
            when sales_days_reached.known_date <= snapshot_days.latest_date
                then sales_days_reached.known_date
        end as label_known_date
    from (
        select distinct
            as_of_date,
            latest_date,
            {{ add_days('as_of_date', horizon_days) }} as horizon_date
        from customers_snapshotted
    ) as snapshot_days
    left join sales_days_reached
        on
            {{ covers_day('sales_days_reached', 'snapshot_days.horizon_date') }}

),

purchases as (

    select distinct
        lines_sold.customer_id,
        lines_sold.product_id,
        horizons_timed.as_of_date
    from horizons_timed
    inner join lines_sold
        on
            horizons_timed.as_of_date <= lines_sold.ordered_date
            and horizons_timed.horizon_date > lines_sold.ordered_date
            and {{ begin_business_day('horizons_timed.label_known_date') }}
            > lines_sold.valid_from
            and {{ begin_business_day('horizons_timed.label_known_date') }} <= lines_sold.valid_to
    where lines_sold.customer_id is not null

),

labels_stated as (

    select
        candidates.*,
        horizons_timed.horizon_date,
        horizons_timed.label_known_date,
        purchases.product_id is not null as is_bought,
        case
            when customers_snapshotted.deleted_date < horizons_timed.horizon_date
                then 'not followed'
            when horizons_timed.label_known_date is null then 'too recent'
            else 'known'
        end as label_state
    from candidates
    inner join customers_snapshotted
        on
            candidates.customer_id = customers_snapshotted.customer_id
            and candidates.as_of_date = customers_snapshotted.as_of_date
    inner join horizons_timed on candidates.as_of_date = horizons_timed.as_of_date
    left join purchases
        on
            candidates.customer_id = purchases.customer_id
            and candidates.product_id = purchases.product_id
            and candidates.as_of_date = purchases.as_of_date

),

label_next_purchase as (

    select
        customer_id,
        product_id,
        label_state,
        case when label_state = 'known' then is_bought end as is_bought,
        as_of,
        {{ begin_business_day('horizon_date') }} as horizon_ends_at,
        case when label_state = 'known' then {{ begin_business_day('label_known_date') }} end
            as label_known_at
    from labels_stated

)

select * from label_next_purchase
