with drift_measures as (

    select * from {{ ref('stg_scoring__drift_measures') }}

),

model_drift as (

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
        row_number() over (
            partition by model_name, subject, measure
            order by measured_at desc, model_version desc, drift_measure_id desc
        ) = 1 as is_newest,
        measured_at
    from drift_measures

)

select * from model_drift
