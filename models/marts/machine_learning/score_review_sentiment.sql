with labels as (

    select * from {{ ref('label_review_sentiment') }}

),

text_features as (

    select * from {{ ref('review_text_features') }}

),

reviews_described as (

    {{ training_set(
        'labels', key=['review_id'], time='reviewed_at', features=['fct_reviews.product__*']
    ) }}

),

-- Reviews with stars too: a text that contradicts its stars shows who reversed them.
score_review_sentiment as (

    select
        reviews_described.review_id,
        reviews_described.customer_id,
        {%- for feature in list_text_features() %}
            text_features.{{ feature }},
        {%- endfor %}
        cast(reviews_described.product__rating_avg_365d as double) as product__rating_avg_365d,
        reviews_described.reviewed_at
    from reviews_described
    inner join text_features on reviews_described.review_id = text_features.review_id

)

select * from score_review_sentiment
