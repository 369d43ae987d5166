with predictions as (

    select * from {{ ref('stg_scoring__predictions') }}

),

fct_predictions as (

    select
        prediction_id,
        model_name,
        model_version,
        entity_id,
        prediction,
        release_name,
        score,
        as_of,
        scored_at,
        row_number() over (
            partition by model_name, entity_id
            order by as_of desc nulls last, scored_at desc, model_version desc, prediction_id desc
        ) = 1 as is_newest
    from predictions

)

select * from fct_predictions
