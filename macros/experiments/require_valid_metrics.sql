{# Checked here, since a misspelt word would become SQL that fails far from its cause. #}
{% macro require_valid_metrics() -%}
    {%- set aggregations = ['count', 'count_distinct', 'sum', 'avg', 'min', 'max'] -%}
    {%- for name, metric in var('experiment_metrics').items() -%}
        {%- if name == 'orders' -%}
            {%- do exceptions.raise_compiler_error('experiment_metrics must not define orders again.') -%}
        {%- elif metric.event_type is not string or metric.aggregation not in aggregations -%}
            {%- do exceptions.raise_compiler_error(
                'The metric ' ~ name ~ ' in experiment_metrics needs an event_type, and an aggregation of '
                ~ aggregations | join(', ') ~ '.'
            ) -%}
        {%- elif metric.aggregation != 'count' and not metric.column -%}
            {%- do exceptions.raise_compiler_error('The metric ' ~ name ~ ' in experiment_metrics needs a column.') -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
