with unit_history as (

    select * from {{ ref('stg_equipment__unit_history') }}

),

unit_versions as (

    {{ build_scd2('unit_history', key='unit_id', attributes=[
        'site', 'model', 'installed_at',
    ]) }}

),

known_units as (

    select
        {{ generate_version_key('unit_id', 'changed_at') }} as unit_key,
        unit_id,
        site,
        model,
        is_deleted,
        is_current,
        installed_at,
        valid_from,
        valid_to
    from unit_versions

),

unknown_unit as (

    select
        {{ unknown_key() }} as unit_key,
        null as unit_id,
        null as site,
        null as model,
        false as is_deleted,
        true as is_current,
        cast(null as timestamp) as installed_at,
        {{ beginning_of_time() }} as valid_from,
        {{ end_of_time() }} as valid_to

),

dim_unit as (

    select * from known_units
    union all
    select * from unknown_unit

)

select * from dim_unit
