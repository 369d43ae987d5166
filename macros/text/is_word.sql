{% macro is_word(token) -%}
    substring({{ token }}, 1, 1) not in ('.', ',', ';', ':', '!', '?', '…', '、', '。', '！', '？')
{%- endmacro %}
