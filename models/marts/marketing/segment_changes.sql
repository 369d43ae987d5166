{{ config(
    materialized='incremental',
    schema='history',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='append_new_columns',
) }}

-- The triggers on customer_segments_current write its rows, for every author of a change.
with segment_changes as (

    select
        cast(null as varchar) as customer_id,
        cast(null as varchar) as old_segment,
        cast(null as varchar) as new_segment,
        cast(null as varchar) as changed_by,
        cast(null as bigint) as change_number,
        cast(null as timestamp) as changed_at
    where false

)

select * from segment_changes
