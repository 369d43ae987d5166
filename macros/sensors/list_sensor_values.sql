{#
    A reading without a value of a quantity is listed on days on which the unit sent the quantity, so
    that cleaning can fill it. A measurement may give the value that a reading lacks.
#}
{% macro list_sensor_values(readings, measurements, quantities) -%}
    with readings_listed as (

        select
            {{ readings }}.unit_id,
            named_quantities.quantity,
            case named_quantities.quantity
                {%- for quantity in quantities %}
                when '{{ quantity }}' then {{ readings }}.{{ quantity }}
                {%- endfor %}
            end as sensor_value,
            {{ readings }}.door_open as is_door_open,
            {{ readings }}.read_at,
            date_trunc('day', {{ readings }}.read_at) as read_day,
            {{ readings }}._loaded_at,
            {{ readings }}._is_backfill
        from {{ readings }}
        cross join (
            values {% for quantity in quantities -%}
            ('{{ quantity }}'){{ ', ' if not loop.last }}
            {%- endfor %}
        ) as named_quantities (quantity)

    ),

    quantities_sent as (

        select distinct
            unit_id,
            quantity,
            read_day
        from readings_listed
        where sensor_value is not null

    ),

    measured_values as (

        select * from {{ measurements }}
        where value is not null

    )

    select
        readings_listed.unit_id,
        readings_listed.quantity,
        coalesce(readings_listed.sensor_value, measured_values.value) as sensor_value,
        readings_listed.is_door_open,
        readings_listed.read_at,
        case
            when readings_listed.sensor_value is null and measured_values.value is not null
                then measured_values._loaded_at
            else readings_listed._loaded_at
        end as _loaded_at,
        case
            when readings_listed.sensor_value is null and measured_values.value is not null
                then measured_values._is_backfill
            else readings_listed._is_backfill
        end as _is_backfill
    from readings_listed
    inner join quantities_sent
        on
            readings_listed.unit_id = quantities_sent.unit_id
            and readings_listed.quantity = quantities_sent.quantity
            and readings_listed.read_day = quantities_sent.read_day
    left join measured_values
        on
            readings_listed.unit_id = measured_values.unit_id
            and readings_listed.quantity = measured_values.quantity
            and readings_listed.read_at = measured_values.read_at

    union all

    select
        measured_values.unit_id,
        measured_values.quantity,
        measured_values.value as sensor_value,
        cast(null as boolean) as is_door_open,
        measured_values.read_at,
        measured_values._loaded_at,
        measured_values._is_backfill
    from measured_values
    left join (
        select
            readings_listed.unit_id,
            readings_listed.quantity,
            readings_listed.read_at
        from readings_listed
        inner join quantities_sent
            on
                readings_listed.unit_id = quantities_sent.unit_id
                and readings_listed.quantity = quantities_sent.quantity
                and readings_listed.read_day = quantities_sent.read_day
    ) as readings_kept
        on
            measured_values.unit_id = readings_kept.unit_id
            and measured_values.quantity = readings_kept.quantity
            and measured_values.read_at = readings_kept.read_at
    where readings_kept.unit_id is null
{%- endmacro %}
