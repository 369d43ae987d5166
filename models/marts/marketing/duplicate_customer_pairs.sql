with customer_matches as (

    select * from {{ ref('stg_crm__customer_matches') }}

),

duplicate_customer_pairs as (

    select
        customer_id,
        other_customer_id,
        agreeing_fields,
        differing_fields,
        match_weight,
        match_probability
    from customer_matches

)

select * from duplicate_customer_pairs
