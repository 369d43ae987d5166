{# The type of a feature: of its aggregate and its column's type; none if the column has no declared type. #}
{% macro get_feature_type(agg, data_type) -%}
    {%- set kind = class_number(data_type) -%}
    {%- if agg in ['count', 'count_distinct'] -%}
        {{ return('bigint') }}
    {%- elif agg in ['avg', 'stddev'] -%}
        {{ return('double') }}
    {%- elif agg == 'sum' and kind == 'decimal' -%}
        {%- set scale = modules.re.findall(', *([0-9]+)', data_type) -%}
        {{ return('decimal(38, ' ~ (scale[0] if scale else 0 if '(' in data_type else 3) ~ ')') }}
    {%- elif agg == 'sum' -%}
        {{ return('double' if kind == 'double' else 'bigint') }}
    {%- else -%}
        {{ return(data_type or none) }}
    {%- endif -%}
{%- endmacro %}
