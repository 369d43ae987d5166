with prescriptions as (

    {{ current_rows('clinic.prescriptions', key='prescription_id') }}

),

stg_clinic__prescriptions as (

    select
        {{ pseudonymise('prescription_id', purpose='prescription') }} as prescription_pseudonym,
        {{ pseudonymise('customer_id', purpose='patient') }} as patient_pseudonym,
        {{ pseudonymise('prescriber', purpose='prescriber') }} as prescriber_pseudonym,
        diagnosis_code,
        drug_code,
        dosage,
        {{ mask_text_to_presence('notes') }} as has_notes,
        {{ business_date('prescribed_at') }} as prescribed_date,
        _loaded_at,
        _is_backfill
    from prescriptions

)

select * from stg_clinic__prescriptions
