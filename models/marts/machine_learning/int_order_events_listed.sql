with order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

int_order_events_listed as (

    select
        {{ generate_version_key('order_id', 'valid_from') }} as event_id,
        order_id,
        customer_id,
        currency,
        case when change_number = 1 and is_sale then 'placed' else order_status end as event_name,
        net_sales_amount,
        {{ hours_between('ordered_at', 'changed_at') }} as hours_since_order,
        valid_from as happened_at
    from order_changes
    where
        (change_number = 1 or order_status is distinct from previous_order_status)
        and valid_from > {{ beginning_of_time() }}

)

select * from int_order_events_listed
