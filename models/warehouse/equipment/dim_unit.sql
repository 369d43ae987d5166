{%- set attributes = ['site', 'model', 'installed_at'] -%}

with unit_history as (

    select * from {{ ref('stg_equipment__unit_history') }}

),

unit_versions as (

    {{ build_scd2('unit_history', key='unit_id', attributes=attributes) }}

),

known_units as (

    select
        *,
        {{ generate_version_key('unit_id', 'changed_at') }} as unit_key
    from unit_versions

),

dim_unit as (

    {{ append_unknown_member('known_units', columns=['unit_key', 'unit_id']
        + attributes + ['is_deleted', 'is_current', 'valid_from', 'valid_to']) }}

)

select * from dim_unit
