with labels_known as (

    select * from {{ ref('label_review_sentiment') }}
    where is_positive is not null

),

text_features as (

    select * from {{ ref('review_text_features') }}

),

reviews_described as (

    {{ training_set(
        'labels_known', key=['review_id'], time='reviewed_at', features=['fct_reviews.product__*']
    ) }}

),

train_review_sentiment as (

    select
        reviews_described.review_id,
        reviews_described.customer_id,
        reviews_described.is_positive,
        {%- for feature in list_text_features() %}
            text_features.{{ feature }},
        {%- endfor %}
        cast(reviews_described.product__rating_avg_365d as double) as product__rating_avg_365d,
        {{ assign_fold('reviews_described.customer_id', 5) }} as fold,
        reviews_described.reviewed_at,
        reviews_described.label_known_at
    from reviews_described
    inner join text_features on reviews_described.review_id = text_features.review_id

)

select * from train_review_sentiment
