with assignments as (

    select * from {{ ref('stg_crm__experiment_assignments') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

exposures_found as (

    select
        *,
        max(exposed_at) over (partition by experiment_name) is null
        or exposed_at is not null as is_exposed
    from assignments

),

starts_found as (

    select
        *,
        case
            when not is_exposed then null
            when exposed_at > assigned_at then exposed_at
            else assigned_at
        end as started_at
    from exposures_found

),

fct_experiment_assignments as (

    select
        starts_found.experiment_name,
        starts_found.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        starts_found.variant,
        starts_found.is_exposed,
        starts_found.variant_count > 1 as is_contaminated,
        starts_found.removed_at is not null as is_removed,
        starts_found.assigned_at,
        starts_found.exposed_at,
        starts_found.removed_at,
        starts_found.started_at,
        starts_found._loaded_at,
        starts_found._is_backfill
    from starts_found
    left join dim_customer
        on {{ as_of('dim_customer', 'starts_found.customer_id', at='starts_found.assigned_at') }}

)

select * from fct_experiment_assignments
