{# What became known at the moment itself was not known before it. #}
{% macro was_known_before(states, at) -%}
    {{ states }}.valid_from < {{ at }}
    and {{ at }} <= {{ states }}.valid_to
{%- endmacro %}
