{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='order_id', inputs=['sales.orders', 'sales.order_lines']
    ) }}",
    post_hook="{{ record_incremental_state(['sales.orders', 'sales.order_lines']) }}",
) }}

{%- set amounts = ['gross_amount', 'discount_amount', 'net_amount', 'net_sales_amount'] %}
{%- set attributes = [
    'customer_id', 'channel', 'ship_country', 'currency', 'order_status', 'line_count',
    'is_deleted', 'is_cancelled', 'is_sale', 'time_zone', 'ordered_at',
] + amounts %}

with order_states as (

    {{ list_order_states(affected_by='order_id') }}

),

line_changes as (

    select * from {{ ref('fct_order_line_changes') }}
    {{ filter_affected_keys('order_id') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

times_listed as (

    select
        order_id,
        known_from
    from order_states

    union

    select
        order_id,
        valid_from as known_from
    from line_changes

    union

    select
        order_id,
        valid_to as known_from
    from line_changes
    where not is_current

),

lines_summed as (

    select
        times_listed.order_id,
        times_listed.known_from,
        count(*) as line_count,
        count(case when line_changes.is_sale then 1 end) as sold_line_count,
        sum(line_changes.gross_amount) as gross_amount,
        sum(line_changes.discount_amount) as discount_amount,
        sum(line_changes.net_amount) as net_amount,
        sum(case when line_changes.is_in_net_sales then line_changes.net_amount end)
            as net_sales_amount
    from times_listed
    inner join line_changes
        on
            times_listed.order_id = line_changes.order_id
            and times_listed.known_from >= line_changes.valid_from
            and times_listed.known_from < line_changes.valid_to
    group by times_listed.order_id, times_listed.known_from

),

orders_at_times as (

    select
        order_states.order_id,
        order_states.customer_id,
        coalesce(order_states.channel, {{ unknown_code() }}) as channel,
        coalesce(order_states.ship_country, {{ unknown_code() }}) as ship_country,
        coalesce(order_states.currency, {{ no_currency() }}) as currency,
        order_states.status as order_status,
        coalesce(lines_summed.line_count, 0) as line_count,
        cast(lines_summed.gross_amount as decimal(18, 4)) as gross_amount,
        cast(lines_summed.discount_amount as decimal(18, 4)) as discount_amount,
        cast(lines_summed.net_amount as decimal(18, 4)) as net_amount,
        cast(lines_summed.net_sales_amount as decimal(18, 4)) as net_sales_amount,
        order_states._is_tombstone as is_deleted,
        coalesce(order_statuses.is_cancelled, false) as is_cancelled,
        not order_states._is_tombstone
        and not coalesce(order_statuses.is_cancelled, false)
        and coalesce(lines_summed.sold_line_count > 0, true) as is_sale,
        order_states.time_zone,
        order_states.ordered_at,
        case
            when times_listed.known_from = order_states.known_from
                then coalesce(order_states._happened_at, order_states.known_from)
            else times_listed.known_from
        end as changed_at,
        times_listed.known_from
    from times_listed
    inner join order_states
        on
            times_listed.order_id = order_states.order_id
            and times_listed.known_from >= order_states.known_from
            and times_listed.known_from < order_states.known_to
    left join lines_summed
        on
            times_listed.order_id = lines_summed.order_id
            and times_listed.known_from = lines_summed.known_from
    left join order_statuses on order_states.status = order_statuses.order_status

),

changes_compared as (

    select
        *,
        row_number() over changes_of_order = 1
        or {{ differs_from_last(attributes, over='changes_of_order') | indent(4) }}
            as is_a_change
    from orders_at_times
    window changes_of_order as (partition by order_id order by known_from)

),

fct_order_status_changes as (

    select
        order_id,
        row_number() over changes_of_order as change_number,
        customer_id,
        channel,
        ship_country,
        currency,
        order_status,
        lag(order_status) over changes_of_order as previous_order_status,
        line_count,
        gross_amount,
        discount_amount,
        net_amount,
        net_sales_amount,
        is_deleted,
        is_cancelled,
        is_sale,
        lead(known_from) over changes_of_order is null as is_current,
        {{ business_date('ordered_at', zone='time_zone') }} as ordered_date,
        ordered_at,
        changed_at,
        known_from as valid_from,
        lead(known_from, 1, {{ end_of_time() }}) over changes_of_order as valid_to
    from changes_compared
    where is_a_change
    window changes_of_order as (partition by order_id order by known_from)

)

select * from fct_order_status_changes
