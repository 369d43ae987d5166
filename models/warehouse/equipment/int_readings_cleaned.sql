{#- Cleaning looks one day to either side: a reading changes its day and the two next to it. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='unit_day', inputs=['equipment.readings'], touches=name_unit_days()
    ) }}",
    post_hook="{{ record_incremental_state(['equipment.readings']) }}",
) }}

with readings as (

    {{ current_rows(
        'equipment.readings', key=['unit_id', 'read_at'],
        affected_by='unit_day', touches=name_unit_days()
    ) }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

readings_timed as (

    select
        unit_id,
        {{ sensor_quantities() | join(', ') }},
        door_open as is_door_open,
        {{ convert_to_epoch_us('read_at') }} as at_us,
        read_at,
        lead(read_at) over within_a_day as following_read_at,
        max(_loaded_at) over within_a_day as _loaded_at,
        min(_is_backfill) over within_a_day as _is_backfill
    from readings
    window within_a_day as (
        partition by unit_id order by {{ convert_to_epoch_us('read_at') }}
        range between 86400000000 preceding and 86400000000 following
    )

),

-- Numbered, because DuckDB sorts numbers faster than text.
quantities as (

    select
        quantities_numbered.quantity_number,
        quantities_numbered.quantity,
        sensor_rules.lowest_possible,
        sensor_rules.highest_possible,
        sensor_rules.largest_change_per_minute / 60000000 as largest_change_per_us,
        sensor_rules.stuck_minutes * cast(60000000 as bigint) as stuck_us,
        sensor_rules.smoothing_minutes * cast(60000000 as bigint) as smoothing_us,
        sensor_rules.longest_gap_minutes * cast(60000000 as bigint) as longest_gap_us
    from (
        values {% for quantity in sensor_quantities() -%}
            ({{ loop.index }}, '{{ quantity }}'){{ ', ' if not loop.last }}
        {%- endfor %}
    ) as quantities_numbered (quantity_number, quantity)
    left join sensor_rules on quantities_numbered.quantity = sensor_rules.quantity

),

values_listed as (

    select
        readings_timed.unit_id,
        quantities.quantity_number,
        quantities.lowest_possible,
        quantities.highest_possible,
        quantities.longest_gap_us,
        case quantities.quantity
            {%- for quantity in sensor_quantities() %}
                when '{{ quantity }}' then readings_timed.{{ quantity }}
            {%- endfor %}
        end as sensor_value,
        readings_timed.is_door_open,
        readings_timed.at_us,
        readings_timed.read_at,
        case
            when
                readings_timed.following_read_at
                <= {{ dbt.dateadd('day', 1, 'readings_timed.read_at') }}
                then readings_timed.following_read_at
        end as next_read_at,
        readings_timed._loaded_at,
        readings_timed._is_backfill
    from readings_timed
    cross join quantities

),

values_bounded as (

    select
        *,
        case
            when
                sensor_value between coalesce(lowest_possible, sensor_value)
                and coalesce(highest_possible, sensor_value)
                then sensor_value
        end as possible_value
    from values_listed

),

values_judged as (

    {{ check_sensor_values('values_bounded', rules='quantities') | indent(4) }}

),

values_cleaned as (

    {{ clean_sensor_values('values_judged') | indent(4) }}

),

values_named as (

    select
        values_cleaned.*,
        quantities.quantity
    from values_cleaned
    inner join quantities on values_cleaned.quantity_number = quantities.quantity_number

),

days_named as (

    select
        *,
        {{ name_unit_day() }} as unit_day
    from values_named

),

int_readings_cleaned as (

    select
        unit_id,
        unit_day,
        quantity,
        finding,
        sensor_value,
        cleaned_value,
        is_door_open,
        is_imputed,
        read_at,
        next_read_at,
        _loaded_at,
        _is_backfill
    from days_named
    {{ filter_affected_keys('unit_day') }}

)

select * from int_readings_cleaned
