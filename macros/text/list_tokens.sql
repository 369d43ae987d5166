{# No word begins with a mark: one that follows a sign, as in an emoji, belongs to no letter. #}
{% macro list_tokens(text) -%}
    {{ list_matches(
        'lower(' ~ compose_letters(text) ~ ')',
        '[\\p{L}\\p{N}][\\p{L}\\p{M}\\p{N}]*|[.,;:!?…、。！？]+'
    ) }}
{%- endmacro %}
