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
        cast({{ dbt.dateadd('day', 'shift_days', 'prescribed_date') }} as date) as shifted_date
    from shifts_drawn

),

days_counted as (

    select
        prescription_pseudonym,
        patient_pseudonym,
        country,
        postcode_area,
        gender,
        diagnosis_code,
        drug_code,
        age_from_years,
        {{ dbt.datediff(
            'min(shifted_date) over (partition by patient_pseudonym)', 'shifted_date', 'day'
        ) }} as days_since_first_prescription,
        shifted_date
    from dates_shifted

),

patients_spanned as (

    select
        patient_pseudonym,
        min(prescribed_date) as first_date,
        max(prescribed_date) as last_date
    from prescriptions_generalised
    where not is_withheld
    group by patient_pseudonym

),

patients_placed as (

    select
        first_date,
        last_date,
        row_number() over (order by first_date) as place_from_start,
        row_number() over (order by last_date desc) as place_from_end
    from patients_spanned

),

-- The span leaves out the first and the last k - 1 patients. One mistyped year would otherwise
-- stretch it by centuries, and every series could begin on many days.
data_spanned as (

    select
        {{ dbt.datediff(
            'max(case when place_from_start = ' ~ var('anonymity_k') ~ ' then first_date end)',
            'max(case when place_from_end = ' ~ var('anonymity_k') ~ ' then last_date end)',
            'day',
        ) }} as day_count
    from patients_placed

),

longest_interval as (

    select day_count - {{ var('least_uncertain_days') }} as longest_days
    from data_spanned

),

prescriptions_deidentified as (

    select
        {{ pseudonymise(
            'days_counted.prescription_pseudonym', purpose='deidentified prescription'
        ) }} as prescription_pseudonym,
        {{ pseudonymise('days_counted.patient_pseudonym', purpose='deidentified patient') }}
            as patient_pseudonym,
        days_counted.country,
        days_counted.postcode_area,
        days_counted.gender,
        days_counted.diagnosis_code,
        days_counted.drug_code,
        days_counted.age_from_years,
        cast(extract(year from days_counted.shifted_date) as integer) as shifted_year,
        case
            when days_counted.days_since_first_prescription <= longest_interval.longest_days
                then days_counted.days_since_first_prescription
        end as days_since_first_prescription
    from days_counted
    cross join longest_interval

)

select * from prescriptions_deidentified
