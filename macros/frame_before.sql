{% macro frame_before(seconds=none) -%}
    range between {{ 'unbounded' if seconds is none else seconds * 1000000 }} preceding and 1 preceding
{%- endmacro %}
