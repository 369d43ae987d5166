with order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

latest_day as (

    select {{ add_days(business_date('max(valid_from)'), '1') }} as last_judged_date
    from order_changes

),

changes_compared as (

    select
        order_id,
        customer_id,
        ordered_date,
        is_sale,
        valid_from,
        valid_to,
        {{ differs_from_last(
            ['is_sale', 'customer_id', 'ordered_date'], over='changes_of_order'
        ) | indent(4) }} as is_a_change
    from order_changes
    window changes_of_order as (partition by order_id order by valid_from)

),

sales_numbered as (

    select
        *,
        count(case when is_a_change then 1 end) over (
            partition by order_id
            order by valid_from
            rows between unbounded preceding and current row
        ) as sale_number
    from changes_compared

),

-- A day knows what became known before it.
sales_bounded as (

    select
        customer_id,
        ordered_date,
        {{ add_days(business_date('min(valid_from)'), '1') }} as counts_from,
        case
            when max(valid_to) < {{ end_of_time() }}
                then {{ add_days(business_date('max(valid_to)'), '1') }}
            else cast({{ end_of_time() }} as date)
        end as counts_to
    from sales_numbered
    where customer_id is not null and is_sale
    group by order_id, sale_number, customer_id, ordered_date

),

sales_counted as (

    select * from sales_bounded
    where counts_from < counts_to

),

-- What was known of earlier days changes with an order that was known late, and with one that no
-- longer counts.
views_begun as (

    select
        customer_id,
        cast({{ beginning_of_time() }} as date) as known_from_date
    from sales_counted

    union

    select
        customer_id,
        counts_from as known_from_date
    from sales_counted
    where counts_from > {{ add_days('ordered_date', '1') }}

    union

    select
        sales_counted.customer_id,
        sales_counted.counts_to as known_from_date
    from sales_counted
    cross join latest_day
    where sales_counted.counts_to <= latest_day.last_judged_date

),

views_bounded as (

    select
        customer_id,
        known_from_date,
        lead(known_from_date, 1, cast({{ end_of_time() }} as date)) over (
            partition by customer_id order by known_from_date
        ) as known_to_date
    from views_begun

),

int_order_days_known as (

    select distinct
        views_bounded.customer_id,
        views_bounded.known_from_date,
        {{ add_days(
            'least(views_bounded.known_to_date, ' ~ add_days('latest_day.last_judged_date', '1') ~ ')',
            '-1'
        ) }} as last_judged_date,
        sales_counted.ordered_date
    from views_bounded
    cross join latest_day
    left join sales_counted
        on
            views_bounded.customer_id = sales_counted.customer_id
            and views_bounded.known_to_date > sales_counted.counts_from
            and views_bounded.known_from_date < sales_counted.counts_to

)

select * from int_order_days_known
