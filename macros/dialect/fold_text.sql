{% macro fold_text(text) -%}
    {{ return(adapter.dispatch('fold_text')(text)) }}
{%- endmacro %}

{% macro default__fold_text(text) -%}
    strip_accents(lower({{ text }}))
{%- endmacro %}

{% macro spark__fold_text(text) -%}
    translate(
        lower({{ text }}),
        'àáâãäåāăąçćčďđèéêëēęěğìíîïīıłñńňòóôõöøőŕřśšşșťțùúûüūůűýÿźžż',
        'aaaaaaaaacccddeeeeeeegiiiiiilnnnooooooorrssssttuuuuuuuyyzzz'
    )
{%- endmacro %}
