{% macro read_review_texts(affected_by=none) -%}
    with reviews as (

        {{ current_rows('content.reviews', key='review_id', affected_by=affected_by) }}

    ),

    markup_removed as (

        select
            review_id,
            body,
            {{ strip_markup('body') }} as plain_text
        from reviews

    ),

    letters_composed as (

        select
            review_id,
            {{ compose_letters('plain_text') }} as plain_text,
            coalesce(body <> plain_text, false) as has_markup
        from markup_removed

    )

    select
        review_id,
        coalesce({{ list_tokens('plain_text') }}, []) as tokens,
        coalesce({{ count_matches('plain_text', '\\S') }}, 0) as character_count,
        coalesce({{ count_sentences('plain_text') }}, 0) as sentence_count,
        coalesce({{ count_matches('plain_text', '[!！]') }}, 0) as exclamation_count,
        coalesce({{ count_matches('plain_text', '\\p{L}') }}, 0) as letter_count,
        coalesce({{ count_matches('plain_text', '\\p{Lu}') }}, 0) as upper_case_count,
        has_markup
    from letters_composed
{%- endmacro %}
