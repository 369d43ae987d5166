{#
    Keys that came once, nearly all, pass by without a sort: a window over events is six times slower.
    What came first is asked of all rows: a key may come again under another one that was touched.
#}
{% macro first_arrivals(input, key, affected_by=none) -%}
    {%- set arrived = get_contract(input, key).relation -%}
    with keys_repeated as (

        select {{ key }}
        from {{ arrived }}
        group by {{ key }}
        having count(*) > 1

    ),

    repeats_numbered as (

        select
            *,
            row_number() over (partition by {{ key }} order by _batch, _row) as _arrival_number
        from {{ arrived }}
        where {{ key }} in (select {{ key }} from keys_repeated)

    ),

    first_of_repeats as (

        select * from repeats_numbered
        where _arrival_number = 1

    ),

    arrived_affected as (

        select * from {{ arrived }}
        {{ filter_affected_keys(affected_by) }}

    ),

    arrived_once as (

        select
            *,
            1 as _arrival_number
        from arrived_affected
        where {{ key }} not in (select {{ key }} from keys_repeated)

    )

    select * from arrived_once

    union all

    select * from first_of_repeats
    {{ filter_affected_keys(affected_by) }}
{%- endmacro %}
