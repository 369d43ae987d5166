{# Keys that came once, nearly all, pass by without a sort: a window over events is six times slower. #}
{% macro first_arrivals(input, key, touched_by=none) -%}
    {%- set arrived = get_contract(input, key).relation -%}
    with arrived as (

        select * from {{ arrived }}
        {{ keep_touched(touched_by) }}

    ),

    keys_repeated as (

        select {{ key }}
        from arrived
        group by {{ key }}
        having count(*) > 1

    ),

    repeats_numbered as (

        select
            *,
            row_number() over (partition by {{ key }} order by _batch, _row) as _arrival_number
        from arrived
        where {{ key }} in (select {{ key }} from keys_repeated)

    ),

    arrivals_numbered as (

        select
            *,
            1 as _arrival_number
        from arrived
        where {{ key }} not in (select {{ key }} from keys_repeated)

        union all

        select * from repeats_numbered

    )

    select * from arrivals_numbered
    where _arrival_number = 1
{%- endmacro %}
