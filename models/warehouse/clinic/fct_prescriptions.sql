{# A view, so that no release contains it: its details would undo the anonymity of the mart. #}
{{ config(materialized='view') }}

with prescriptions as (

    select * from {{ ref('stg_clinic__prescriptions') }}

),

patients as (

    select * from {{ ref('stg_clinic__patients') }}

),

fct_prescriptions as (

    select
        prescriptions.prescription_pseudonym,
        prescriptions.patient_pseudonym,
        prescriptions.prescriber_pseudonym,
        prescriptions.diagnosis_code,
        prescriptions.drug_code,
        prescriptions.dosage,
        patients.gender,
        patients.postcode_area,
        patients.country,
        patients.birth_year,
        prescriptions.has_notes,
        prescriptions.prescribed_date,
        prescriptions._loaded_at,
        prescriptions._is_backfill
    from prescriptions
    left join patients on prescriptions.patient_pseudonym = patients.patient_pseudonym

)

select * from fct_prescriptions
