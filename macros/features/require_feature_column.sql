{# An error if a model that declares its columns has none of this name. #}
{% macro require_feature_column(node, group, field, column, types, value=none) -%}
    {%- if not column -%}
        {%- do refuse_feature(node, group, field ~ ' is missing', value) -%}
    {%- elif types and column not in types -%}
        {%- do refuse_feature(
            node, group, field ~ " '" ~ column ~ "' is no column. Columns are " ~ types.keys() | join(', '), value
        ) -%}
    {%- endif -%}
{%- endmacro %}
