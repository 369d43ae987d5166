{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='order_id', inputs=['sales.orders', 'sales.order_lines']
    ) }}",
    post_hook="{{ record_incremental_state(['sales.orders', 'sales.order_lines']) }}",
) }}

{%- set attributes = [
    'customer_id', 'product_id', 'channel', 'ship_country', 'currency', 'quantity', 'unit_price',
    'discount_amount', 'is_cancelled', 'is_return', 'time_zone', 'ordered_at',
] %}

with order_states as (

    {{ list_order_states(affected_by='order_id') }}

),

line_states as (

    {{ list_line_states(affected_by='order_id') }}

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
        known_from
    from line_states

),

spans_bounded as (

    select
        order_id,
        known_from,
        lead(known_from, 1, {{ end_of_time() }}) over (
            partition by order_id order by known_from
        ) as known_to
    from times_listed

),

lines_in_spans as (

    select
        line_states.order_id,
        line_states.line_number,
        order_states.customer_id,
        line_states.product_id,
        coalesce(order_states.channel, {{ unknown_code() }}) as channel,
        coalesce(order_states.ship_country, {{ unknown_code() }}) as ship_country,
        coalesce(order_states.currency, {{ no_currency() }}) as currency,
        line_states.quantity,
        line_states.unit_price,
        coalesce(line_states.discount_amount, 0) as discount_amount,
        coalesce(order_statuses.is_cancelled, false) as is_cancelled,
        max(line_states.quantity) over (
            partition by line_states.order_id, spans_bounded.known_from
        ) > 0 as is_in_sold_order,
        order_states.time_zone,
        order_states.ordered_at,
        line_states._happened_at,
        spans_bounded.known_from,
        spans_bounded.known_to
    from spans_bounded
    inner join order_states
        on
            spans_bounded.order_id = order_states.order_id
            and spans_bounded.known_from >= order_states.known_from
            and spans_bounded.known_from < order_states.known_to
    inner join line_states
        on
            spans_bounded.order_id = line_states.order_id
            and spans_bounded.known_from >= line_states.known_from
            and spans_bounded.known_from < line_states.known_to
    left join order_statuses on order_states.status = order_statuses.order_status
    where not order_states._is_tombstone and not line_states._is_tombstone

),

returns_told as (

    select
        *,
        {{ is_return_line('quantity', 'is_cancelled', 'is_in_sold_order') }} as is_return
    from lines_in_spans

),

spans_compared as (

    select
        *,
        (known_from is distinct from lag(known_to) over spans)
        or {{ differs_from_last(attributes, over='spans') | indent(4) }}
            as is_a_change
    from returns_told
    window spans as (partition by order_id, line_number order by known_from)

),

changes_numbered as (

    select
        *,
        count(case when is_a_change then 1 end) over (
            partition by order_id, line_number
            order by known_from
            rows between unbounded preceding and current row
        ) as state_number
    from spans_compared

),

fct_order_line_changes as (

    select
        order_id,
        line_number,
        customer_id,
        product_id,
        channel,
        ship_country,
        currency,
        quantity,
        unit_price,
        discount_amount,
        cast(quantity * unit_price as decimal(18, 4)) as gross_amount,
        cast(quantity * unit_price - discount_amount as decimal(18, 4)) as net_amount,
        is_cancelled,
        is_return,
        not is_cancelled and quantity > 0 as is_sale,
        not is_cancelled or is_return as is_in_net_sales,
        max(known_to) = {{ end_of_time() }} as is_current,
        {{ business_date('ordered_at', zone='time_zone') }} as ordered_date,
        ordered_at,
        coalesce(min(_happened_at), min(known_from)) as changed_at,
        min(known_from) as valid_from,
        max(known_to) as valid_to
    from changes_numbered
    group by order_id, line_number, state_number, {{ attributes | join(', ') }}

)

select * from fct_order_line_changes
