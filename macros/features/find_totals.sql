{#
    The totals of each moment's entity over the events whose change was not after the moment. Events that change at one
    moment are peers of the window's frame, so that each of them has the total of all.
#}
{% macro find_totals(moments, events, key_count, measures, changes_us) -%}
    with totals as (

        select
            {%- for number in range(1, key_count + 1) %}
            entity_{{ number }},
            {%- endfor %}
            {%- for measure in measures %}
            {%- set conditions = [measure.counts] if measure.counts else [] -%}
            {%- set conditions = conditions + (['of_' ~ measure.not_null ~ ' is not null'] if measure.not_null else []) -%}
            {%- set counted = conditions | join(' and ') %}
            count(*){{ ' filter (where ' ~ counted ~ ')' if counted }} over changes_so_far
                as {{ measure.name }}_count,
            {%- if measure.of %}
            {%- set number = 'cast(of_' ~ measure.of ~ ' as integer)' if measure.kind == 'boolean'
                else 'of_' ~ measure.of %}
            sum({{ number }}){{ ' filter (where ' ~ counted ~ ')' if counted }} over changes_so_far
                as {{ measure.name }}_sum,
            {%- endif %}
            {%- endfor %}
            {{ changes_us }} as changes_us
        from {{ events }}
        window changes_so_far as (
            partition by
                {%- for number in range(1, key_count + 1) %}
                entity_{{ number }}{{ ',' if not loop.last }}
                {%- endfor %}
            order by {{ changes_us }}
            range between unbounded preceding and current row
        )

    )

    select
        {%- for number in range(1, key_count + 1) %}
        moments.entity_{{ number }},
        {%- endfor %}
        {%- for measure in measures %}
        totals.{{ measure.name }}_count,
        {%- if measure.of %}
        totals.{{ measure.name }}_sum,
        {%- endif %}
        {%- endfor %}
        moments.moment_us
    from {{ moments }} as moments
    asof inner join totals
        on
            {%- for number in range(1, key_count + 1) %}
            {{ 'and ' if not loop.first }}moments.entity_{{ number }} = totals.entity_{{ number }}
            {%- endfor %}
            and moments.moment_us >= totals.changes_us
{%- endmacro %}
