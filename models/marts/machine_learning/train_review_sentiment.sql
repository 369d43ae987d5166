with labels_known as (

    select * from {{ ref('label_review_sentiment') }}
    where is_positive is not null

),

text_features as (

    select * from {{ ref('review_text_features') }}

),

train_review_sentiment as (

    select
        labels_known.review_id,
        labels_known.customer_id,
        labels_known.is_positive,
        {%- for feature in list_text_features() %}
            text_features.{{ feature }},
        {%- endfor %}
        {{ assign_fold('labels_known.customer_id', 5) }} as fold,
        labels_known.reviewed_at,
        labels_known.label_known_at
    from labels_known
    inner join text_features on labels_known.review_id = text_features.review_id

)

select * from train_review_sentiment
