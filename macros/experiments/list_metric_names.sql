{% macro list_metric_names() -%}
    'orders'
    {%- for name in var('experiment_metrics') -%}
        , '{{ name }}'
    {%- endfor -%}
{%- endmacro %}
