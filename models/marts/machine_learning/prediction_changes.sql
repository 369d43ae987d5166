with predictions as (

    select * from {{ ref('fct_predictions') }}

),

predictions_followed as (

    select
        prediction_id,
        model_name,
        entity_id,
        prediction as new_prediction,
        model_version,
        release_name,
        score as new_score,
        as_of,
        scored_at,
        lag(prediction) over entity as old_prediction,
        lag(score) over entity as old_score,
        lag(model_version) over entity as old_model_version
    from predictions
    window
        entity as (
            partition by model_name, entity_id
            order by scored_at, as_of nulls first, model_version, prediction_id
        )

),

prediction_changes as (

    select
        prediction_id,
        model_name,
        entity_id,
        old_prediction,
        new_prediction,
        old_model_version,
        model_version,
        release_name,
        old_score,
        new_score,
        as_of,
        scored_at as changed_at
    from predictions_followed
    where
        old_prediction is distinct from new_prediction
        or old_score is distinct from new_score
        or old_model_version is distinct from model_version

)

select * from prediction_changes
