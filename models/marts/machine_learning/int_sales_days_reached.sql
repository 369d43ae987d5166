with order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

int_sales_days_reached as (

    {{ list_days_reached('order_changes', happened_at='changed_at', known_at='valid_from') }}

)

select * from int_sales_days_reached
