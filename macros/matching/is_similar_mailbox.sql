{% macro is_similar_mailbox(one, peer) -%}
    {{ one }}.email_digits = {{ peer }}.email_digits
    and (
        {{ measure_similarity(one ~ '.email', peer ~ '.email') }} >= 0.92
        or (length({{ peer }}.email) >= 6 and contains({{ one }}.email, {{ peer }}.email))
        or (length({{ one }}.email) >= 6 and contains({{ peer }}.email, {{ one }}.email))
    )
{%- endmacro %}
