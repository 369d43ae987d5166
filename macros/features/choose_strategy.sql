{#
    How a group's counts and sums are computed: by a join of each moment with its events where a key has few, by
    running totals where it has many. Both give the same values. A table that is not built yet counts as small.
#}
{% macro choose_strategy(group) -%}
    {{ return(adapter.dispatch('choose_strategy')(group)) }}
{%- endmacro %}

{% macro default__choose_strategy(group) -%}
    {%- set relation = group.relation -%}
    {%- if relation is string or relation.is_cte or not load_relation(relation) -%}
        {{ return('range_join') }}
    {%- endif -%}
    {%- set key = group.through['from'] if group.through else group.entity -%}
    {%- set key = [key] if key is string else key -%}
    {%- set counted = run_query(
        'select count(*) > 200 * approx_count_distinct(concat_ws(chr(31), ' ~ key | join(', ') ~ ')) from ' ~ relation
    ) -%}
    {{ return('prefix_sums' if counted.rows[0][0] else 'range_join') }}
{%- endmacro %}

{# Spark has no as-of join. #}
{% macro spark__choose_strategy(group) -%}
    {{ return('range_join') }}
{%- endmacro %}
