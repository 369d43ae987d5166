with orders as (

    select * from {{ ref('fct_orders') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

int_customer_favourites as (

    {{ find_favourites('orders', lines='order_lines', products='dim_product') }}

)

select * from int_customer_favourites
