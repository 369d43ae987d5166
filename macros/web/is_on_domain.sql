{# Compared without a pattern, which would cost more than all else that is done with an event. #}
{% macro is_on_domain(column, domain) -%}
    split_part(split_part(split_part(lower({{ column }}), '/', 3), '?', 1), ':', 1)
    in ({{ domain }}, 'www.' || {{ domain }})
{%- endmacro %}
