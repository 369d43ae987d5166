{#
    The aggregate of a feature over a moment's events; of a first or last value its time, in microseconds. Sums of
    floating-point numbers are taken in the order of the events, so that they are the same in every build.
#}
{% macro aggregate_feature(value, begin_us, end_us) -%}
    {%- set conditions = [] -%}
    {%- if value.begin_us != begin_us -%}
        {%- do conditions.append('events.event_us + ' ~ value.begin_us ~ ' <= moments.moment_us') -%}
    {%- endif -%}
    {%- if value.window_us is not none and value.begin_us + value.window_us != end_us -%}
        {%- do conditions.append(
            'moments.moment_us < events.event_us + ' ~ (value.begin_us + value.window_us)
        ) -%}
    {%- endif -%}
    {%- if value.where -%}
        {%- do conditions.append('events.counts_' ~ value.feature) -%}
    {%- endif -%}
    {%- if value.of -%}
        {%- do conditions.append('events.of_' ~ value.of ~ ' is not null') -%}
    {%- endif -%}
    {%- set counted = ' filter (where ' ~ conditions | join(' and ') ~ ')' if conditions else '' -%}
    {%- set condition = conditions | join(' and ') or 'true' -%}
    {%- set column = 'events.of_' ~ value.of -%}
    {%- set number = 'cast(' ~ column ~ ' as integer)' if value.kind == 'boolean' else column -%}
    {%- set order = ['events.event_us', 'events.known_us', 'events.event_id'] -%}
    {%- set total = sum_in_order(number, order, condition) if value.kind == 'double' else 'sum(' ~ number ~ ')' ~ counted -%}
    {%- set aggregate -%}
        {%- if value.agg == 'count' -%}
            count(*){{ counted }}
        {%- elif value.agg == 'count_distinct' -%}
            count(distinct {{ column }}){{ counted }}
        {%- elif value.agg == 'sum' -%}
            {{ total }}
        {%- elif value.agg == 'avg' -%}
            cast({{ total }} as double) / nullif(count(*){{ counted }}, 0)
        {%- elif value.agg == 'stddev' -%}
            {{ deviate_in_order(number, order, condition) }}
        {%- elif value.agg in ['first', 'last'] -%}
            {{ 'min' if value.agg == 'first' else 'max' }}(events.event_us){{ counted }}
        {%- else -%}
            {{ value.agg }}({{ column }}){{ counted }}
        {%- endif -%}
    {%- endset -%}
    {%- if value.ttl_us is none -%}
    {{ aggregate }}
    {%- else -%}
    case
        when
            moments.moment_us < max(events.event_us){{ counted }} + {{ value.begin_us + value.ttl_us }}
            then {{ aggregate }}
    end
    {%- endif -%}
{%- endmacro %}
