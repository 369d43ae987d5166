{#
    The CTEs that compute features from running totals. An event enters when it has happened and is known, and leaves a
    window when the window has passed it, or at once if it was known too late. Each change is first added to the next
    moment at which it shows, so that totals run over moments, of which there are fewer than events.
#}
{% macro sum_prefixes(name, moments, events, key_count, values) -%}
    {%- set begin_us = values[0].begin_us -%}
    {%- set enters_us = 'greatest(event_us + ' ~ begin_us ~ ', known_us)' -%}
    {%- set measures = list_measures(values) -%}
    {%- set windows_us = values | map(attribute='window_us') | reject('none') | unique | list -%}
    {%- set changes_us = [enters_us] -%}
    {%- for window_us in windows_us -%}
        {%- do changes_us.append('greatest(event_us + ' ~ (begin_us + window_us) ~ ', known_us)') -%}
    {%- endfor -%}
    {%- set changes, placed = name ~ '_changes', name ~ '_placed' -%}
    {{ return([
        [changes, list_changes(events, key_count, measures, changes_us)],
        [placed, place_changes(moments, changes, key_count, measures, changes_us | length)],
        [name, run_totals(moments, placed, key_count, measures, values, windows_us)],
    ]) }}
{%- endmacro %}
