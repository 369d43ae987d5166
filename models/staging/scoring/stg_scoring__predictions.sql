with predictions as (

    {{ current_rows('scoring.predictions', key='prediction_id') }}

),

stg_scoring__predictions as (

    select
        prediction_id,
        model_name,
        model_version,
        entity_id,
        prediction,
        release_name,
        score,
        as_of,
        scored_at
    from predictions

)

select * from stg_scoring__predictions
