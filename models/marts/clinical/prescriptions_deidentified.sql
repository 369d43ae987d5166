with prescriptions_generalised as (

    select * from {{ ref('int_prescriptions_generalised') }}

),

shifts_drawn as (

    select
        prescription_pseudonym,
        patient_pseudonym,
        country,
        postcode_area,
        gender,
        diagnosis_code,
        drug_code,
        age_from_years,
        is_generalised,
        {{ draw_shift_days('patient_pseudonym') }} as shift_days,
        prescribed_date
    from prescriptions_generalised
    where not is_withheld

),

dates_shifted as (

    select
        prescription_pseudonym,
        patient_pseudonym,
        country,
        postcode_area,
        gender,
        diagnosis_code,
        drug_code,
        age_from_years,
        is_generalised,
        cast({{ dbt.dateadd('day', 'shift_days', 'prescribed_date') }} as date) as shifted_date
    from shifts_drawn

),

prescriptions_deidentified as (

    select
        {{ pseudonymise('prescription_pseudonym', purpose='deidentified prescription') }}
            as prescription_pseudonym,
        {{ pseudonymise('patient_pseudonym', purpose='deidentified patient') }}
            as patient_pseudonym,
        country,
        postcode_area,
        gender,
        diagnosis_code,
        drug_code,
        age_from_years,
        cast(extract(year from shifted_date) as integer) as shifted_year,
        {{ dbt.datediff(
            'min(shifted_date) over (partition by patient_pseudonym)', 'shifted_date', 'day'
        ) }} as days_since_first_prescription,
        is_generalised
    from dates_shifted

)

select * from prescriptions_deidentified
