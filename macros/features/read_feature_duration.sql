{# A duration of a declaration in microseconds; none if it is not declared. #}
{% macro read_feature_duration(node, group, field, declared, value=none) -%}
    {%- set duration = declared.get(field) -%}
    {%- if duration is none -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if not modules.re.fullmatch('[1-9][0-9]*[smhd]', duration | string) -%}
        {%- do refuse_feature(
            node, group, field ~ " '" ~ duration ~ "' is no duration. Write a number and s, m, h or d, as in 10m or 30d",
            value
        ) -%}
    {%- endif -%}
    {{ return(convert_duration_to_us(duration)) }}
{%- endmacro %}
