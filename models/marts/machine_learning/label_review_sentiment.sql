with reviews as (

    select * from {{ ref('fct_reviews') }}

),

-- The stars are given with the text: the label is known with its features.
labels_stated as (

    select
        review_id,
        customer_id,
        product_id,
        case
            when rating >= {{ var('fewest_stars_of_a_positive_review') }} then true
            when rating <= {{ var('most_stars_of_a_negative_review') }} then false
        end as is_positive,
        reviewed_at,
        {{ compute_known_at('reviewed_at') }} as known_at
    from reviews
    where has_text

),

label_review_sentiment as (

    select
        review_id,
        customer_id,
        product_id,
        case when is_positive is null then 'not followed' else 'known' end as label_state,
        is_positive,
        reviewed_at,
        case when is_positive is not null then known_at end as label_known_at
    from labels_stated

)

select * from label_review_sentiment
