{% macro count_sentences(text) -%}
    {{ count_matches(text, '[^.!?…。！？\\s][^.!?…。！？]*') }}
{%- endmacro %}
