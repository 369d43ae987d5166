{% macro strip_markup(text) -%}
    {{ replace_matches(text, '<[/!a-zA-Z][^<>]*>|&#?[a-zA-Z0-9]+;', ' ') }}
{%- endmacro %}

{# No word begins with a mark: one that follows a sign, as in an emoji, belongs to no letter. #}
{% macro list_tokens(text) -%}
    {{ list_matches(
        'lower(' ~ compose_letters(text) ~ ')',
        '[\\p{L}\\p{N}][\\p{L}\\p{M}\\p{N}]*|[.,;:!?…、。！？]+'
    ) }}
{%- endmacro %}

{% macro count_sentences(text) -%}
    {{ count_matches(text, '[^.!?…。！？\\s][^.!?…。！？]*') }}
{%- endmacro %}

{% macro term_bucket_count() -%}
    256
{%- endmacro %}

{# md5, not the engine's own hash: what a model was trained on must be what it is asked with. #}
{% macro hash_to_bucket(term) -%}
    cast({{ read_hexadecimal('substring(' ~ dbt.hash(term) ~ ', 1, 8)') }}
    % {{ term_bucket_count() }} as integer)
{%- endmacro %}

{% macro hash_to_sign(term) -%}
    case when substring({{ dbt.hash(term) }}, 9, 1) < '8' then 1 else -1 end
{%- endmacro %}

{% macro negation_reach() -%}
    3
{%- endmacro %}

{% macro is_word(token) -%}
    substring({{ token }}, 1, 1) not in ('.', ',', ';', ':', '!', '?', '…', '、', '。', '！', '？')
{%- endmacro %}
