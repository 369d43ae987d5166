with orders as (

    select * from {{ ref('fct_orders') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

int_customer_purchases as (

    {{ count_purchases('orders', lines='order_lines') }}

)

select * from int_customer_purchases
