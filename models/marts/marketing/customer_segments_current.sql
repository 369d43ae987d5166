-- depends_on: {{ ref('segment_changes') }}
{{ config(
    materialized='incremental',
    incremental_strategy='update_in_place',
    unique_key='customer_id',
    full_refresh=false,
    on_schema_change='append_new_columns',
    pre_hook="{% if is_incremental() %}{{
        watch_changes(key='customer_id', column='segment', into=ref('segment_changes'))
    }}{% endif %}",
    post_hook="{{ record_changes(key='customer_id', column='segment', into=ref('segment_changes')) }}",
) }}

with customer_segments_current as (

    {# A build with --empty reads no customers; it must not record that all of them are gone. #}
    select
        customer_id,
        segment
    from {{ this if flags.EMPTY and is_incremental() else ref('customer_360') }}

)

select * from customer_segments_current
