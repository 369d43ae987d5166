{#
    The CTEs that compute features from running totals. An event enters when it has happened and is known, and leaves a
    window when the window has passed it, or at once if it was known too late.
#}
{% macro sum_prefixes(name, moments, events, key_count, values) -%}
    {%- set begin_us = values[0].begin_us -%}
    {%- set enters_us = 'greatest(event_us + ' ~ begin_us ~ ', known_us)' -%}
    {%- set measures = list_measures(values) -%}
    {%- set ctes = [[name ~ '_entered', find_totals(moments, events, key_count, measures, enters_us)]] -%}
    {%- set left_by_window = {} -%}
    {%- for window_us in values | map(attribute='window_us') | reject('none') | unique -%}
        {%- set leaves_us = 'greatest(event_us + ' ~ (begin_us + window_us) ~ ', known_us)' -%}
        {%- do left_by_window.update({window_us: name ~ '_left_' ~ loop.index}) -%}
        {%- do ctes.append([
            left_by_window[window_us], find_totals(moments, events, key_count, measures, leaves_us)
        ]) -%}
    {%- endfor -%}
    {%- do ctes.append([name, subtract_totals(name ~ '_entered', left_by_window, key_count, measures, values)]) -%}
    {{ return(ctes) }}
{%- endmacro %}
