with labels as (

    select * from {{ ref('label_review_sentiment') }}

),

text_features as (

    select * from {{ ref('review_text_features') }}

),

-- Reviews with stars too: a text that contradicts its stars shows who reversed them.
score_review_sentiment as (

    select
        labels.review_id,
        labels.customer_id,
        {%- for feature in list_text_features() %}
            text_features.{{ feature }},
        {%- endfor %}
        labels.reviewed_at
    from labels
    inner join text_features on labels.review_id = text_features.review_id

)

select * from score_review_sentiment
