with drift_measures as (

    {{ current_rows('scoring.drift_measures', key='drift_measure_id') }}

),

stg_scoring__drift_measures as (

    select
        drift_measure_id,
        model_name,
        model_version,
        release_name,
        subject,
        measure,
        value,
        drift_limit,
        row_count,
        is_beyond,
        measured_at
    from drift_measures

)

select * from stg_scoring__drift_measures
