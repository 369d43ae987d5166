{#
    The units of each cadence: those that make a level, seasons of the same phase, units of a shift, and the warm-up.
    A day has its weekday as phase, an hour its hour of the day, and a month its month.
#}
{% macro get_cadence(every) -%}
    {%- set cadences = {
        'hour': {'reach': 72, 'seasons': 14, 'recent': 24, 'warm_up': 72},
        'day': {'reach': 28, 'seasons': 8, 'recent': 7, 'warm_up': 28},
        'week': {'reach': 12, 'seasons': 8, 'recent': 4, 'warm_up': 10},
        'month': {'reach': 12, 'seasons': 4, 'recent': 3, 'warm_up': 8},
    } -%}
    {%- if every not in cadences -%}
        {%- do exceptions.raise_compiler_error(
            'A cadence is one of ' ~ (cadences.keys() | join(', ')) ~ ', and not ' ~ every ~ '.'
        ) -%}
    {%- endif -%}
    {{ return(cadences[every]) }}
{%- endmacro %}
