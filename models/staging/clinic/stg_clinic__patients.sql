with prescriptions as (

    {{ current_rows('clinic.prescriptions', key='prescription_id') }}

),

customers as (

    select * from {{ ref('stg_crm__customers') }}

),

customers_prescribed_for as (

    select distinct customer_id
    from prescriptions
    where customer_id is not null

),

stg_clinic__patients as (

    select
        {{ pseudonymise('customers_prescribed_for.customer_id', purpose='patient') }}
            as patient_pseudonym,
        customers.gender,
        customers.postcode_area,
        customers.country,
        customers.birth_year
    from customers_prescribed_for
    left join customers on customers_prescribed_for.customer_id = customers.customer_id

)

select * from stg_clinic__patients
