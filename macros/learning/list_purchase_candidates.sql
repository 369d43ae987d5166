{#
    Products are chosen by what was known before the day, in training as in scoring: with those that were bought
    later, the choice itself would tell the label.
#}
{% macro list_purchase_candidates(customers, lines_sold) -%}
    with products_ranked as (

        select
            days.as_of_date,
            lines_sold.product_id,
            row_number() over (
                partition by days.as_of_date
                order by count(distinct lines_sold.order_id) desc, lines_sold.product_id
            ) as popularity_rank
        from (select distinct as_of_date from {{ customers }}) as days
        inner join {{ lines_sold }} as lines_sold
            on
                days.as_of_date > lines_sold.known_date
                and days.as_of_date > lines_sold.ordered_date
                and {{ add_days('days.as_of_date', -var('next_purchase_horizon_days')) }}
                <= lines_sold.ordered_date
        group by days.as_of_date, lines_sold.product_id

    ),

    products_bought as (

        select
            customer_id,
            product_id,
            min(known_date) as known_date
        from {{ lines_sold }}
        where customer_id is not null
        group by customer_id, product_id

    )

    select
        customers.customer_id,
        products_bought.product_id,
        customers.as_of_date,
        customers.as_of
    from {{ customers }} as customers
    inner join products_bought
        on
            customers.customer_id = products_bought.customer_id
            and customers.as_of_date > products_bought.known_date

    union

    select
        customers.customer_id,
        products_ranked.product_id,
        customers.as_of_date,
        customers.as_of
    from {{ customers }} as customers
    inner join products_ranked
        on
            customers.as_of_date = products_ranked.as_of_date
            and products_ranked.popularity_rank <= {{ var('next_purchase_popular_products') }}
{%- endmacro %}
