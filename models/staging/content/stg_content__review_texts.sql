with review_texts as (

    {{ read_review_texts() }}

),

stg_content__review_texts as (

    select
        review_id,
        tokens,
        character_count,
        sentence_count,
        exclamation_count,
        letter_count,
        upper_case_count,
        has_markup
    from review_texts

)

select * from stg_content__review_texts
