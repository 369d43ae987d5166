{# As-of join: the version of a dimension that was valid at a time. #}
{% macro as_of(dimension, key, at) -%}
    {{ dimension }}.{{ dimension | replace('dim_', '', 1) }}_id = {{ key }}
    and {{ dimension }}.valid_from <= {{ at }}
    and {{ at }} < {{ dimension }}.valid_to
{%- endmacro %}
