{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(key='review_id', inputs=['content.reviews']) }}",
    post_hook="{{ record_incremental_state(['content.reviews'], through='fct_reviews') }}",
) }}

with reviews as (

    select * from {{ ref('fct_reviews') }}
    {{ filter_affected_keys('review_id') }}

),

review_texts as (

    {{ read_review_texts(affected_by='review_id') }}

),

sentiment_words as (

    select * from {{ ref('sentiment_words') }}

),

tokens_listed as (

    select
        review_id,
        {{ explode_list('tokens', value='token', number='token_number') }}
    from review_texts

),

clauses_numbered as (

    select
        review_id,
        token,
        token_number,
        {{ is_word('token') }} as is_word,
        sum(case when {{ is_word('token') }} then 0 else 1 end) over (
            partition by review_id order by token_number
            rows between unbounded preceding and current row
        ) as clause_number
    from tokens_listed

),

words as (

    select
        review_id,
        token as word,
        token_number,
        clause_number
    from clauses_numbered
    where is_word

),

words_weighed as (

    select
        words.review_id,
        sentiment_words.polarity,
        max(case when sentiment_words.is_negator then 1 else 0 end) over (
            partition by words.review_id, words.clause_number
            order by words.token_number
            rows between {{ var('negation_reach') }} preceding and 1 preceding
        ) as negator_count
    from words
    left join sentiment_words on words.word = sentiment_words.term

),

polarities_signed as (

    select
        review_id,
        case when negator_count > 0 then -polarity else polarity end as polarity
    from words_weighed
    where polarity <> 0

),

sentiments_counted as (

    select
        review_id,
        count(case when polarity > 0 then 1 end) as positive_word_count,
        count(case when polarity < 0 then 1 end) as negative_word_count,
        cast(avg(cast(polarity as double)) as double) as sentiment_score
    from polarities_signed
    group by review_id

),

words_counted as (

    select
        review_id,
        count(*) as word_count,
        count(distinct word) as distinct_word_count
    from words
    group by review_id

),

terms_hashed as (

    select
        review_id,
        {{ hash_to_bucket('word') }} as bucket,
        {{ hash_to_sign('word') }} as sign
    from words

),

buckets_summed as (

    select
        review_id,
        bucket,
        cast(sum(sign) as integer) as weight
    from terms_hashed
    group by review_id, bucket
    having sum(sign) <> 0

),

term_vectors as (

    select
        review_id,
        {{ build_map('bucket', 'weight') }} as term_weights
    from buckets_summed
    group by review_id

),

review_text_features as (

    select
        reviews.review_id,
        reviews.customer_id,
        reviews.product_id,
        reviews.rating,
        coalesce(review_texts.character_count, 0) as character_count,
        coalesce(words_counted.word_count, 0) as word_count,
        coalesce(words_counted.distinct_word_count, 0) as distinct_word_count,
        coalesce(review_texts.sentence_count, 0) as sentence_count,
        cast(review_texts.exclamation_count as double)
        / nullif(review_texts.character_count, 0) as exclamation_share,
        cast(review_texts.upper_case_count as double)
        / nullif(review_texts.letter_count, 0) as upper_case_share,
        coalesce(sentiments_counted.positive_word_count, 0) as positive_word_count,
        coalesce(sentiments_counted.negative_word_count, 0) as negative_word_count,
        sentiments_counted.sentiment_score,
        term_vectors.term_weights,
        coalesce(review_texts.has_markup, false) as has_markup,
        reviews.reviewed_at,
        reviews._loaded_at,
        reviews._is_backfill
    from reviews
    left join review_texts on reviews.review_id = review_texts.review_id
    left join words_counted on reviews.review_id = words_counted.review_id
    left join sentiments_counted on reviews.review_id = sentiments_counted.review_id
    left join term_vectors on reviews.review_id = term_vectors.review_id

)

select * from review_text_features
