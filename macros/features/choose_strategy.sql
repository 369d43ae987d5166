{#
    How a group's counts and sums are computed. A join of each moment with the events of its key costs one step a pair,
    two thirds of it only within the window; running totals cost about 15 steps an event. Both give the same values. A
    table that is not built yet counts as small.
#}
{% macro choose_strategy(group, spine) -%}
    {{ return(adapter.dispatch('choose_strategy')(group, spine)) }}
{%- endmacro %}

{% macro default__choose_strategy(group, spine) -%}
    {%- set relation = group.relation -%}
    {%- if relation is string or relation.is_cte or not load_relation(relation) -%}
        {{ return('range_join') }}
    {%- endif -%}
    {%- set key = group.through['from'] if group.through else group.entity -%}
    {%- set key = [key] if key is string else key -%}
    {%- set event_us = convert_to_epoch_us('cast(' ~ group.event_time ~ ' as timestamp)') -%}
    {%- set windows = group['values'] | map(attribute='window_us') | list -%}
    {%- set counted -%}
        select
            count(*),
            approx_count_distinct(concat_ws('/', {{ key | join(', ') }})),
            max({{ event_us }}) - min({{ event_us }})
        from {{ relation }}
    {%- endset -%}
    {%- set events, keys, span_us = run_query(counted).rows[0] -%}
    {%- set moments = events -%}
    {%- if spine is not string and not spine.is_cte and load_relation(spine) -%}
        {%- set moments = run_query('select count(*) from ' ~ spine).rows[0][0] -%}
    {%- endif -%}
    {%- set is_bounded = none not in windows and span_us -%}
    {%- set share = [1, (windows | max) / (span_us | float)] | min if is_bounded else 0.5 -%}
    {{ return('prefix_sums' if moments * (1 + 2 * share) / 3 > 15 * keys else 'range_join') }}
{%- endmacro %}

{# Spark has no as-of join. #}
{% macro spark__choose_strategy(group, spine) -%}
    {{ return('range_join') }}
{%- endmacro %}
