{% macro clean_sensor_values(checked_values) -%}
    with good_values_kept as (

        select
            *,
            case when finding is null then sensor_value end as good_value
        from {{ checked_values }}

    ),

    values_smoothed as (

        select
            *,
            {{ smooth_by_median(
                'good_value', 'at_us', 'smoothing_us', over='values_of_sensor'
            ) | indent(8) }} as smooth_value,
            good_value is null
            or lag(good_value) over values_of_sensor is null
            or lead(good_value) over values_of_sensor is null as is_near_gap
        from good_values_kept
        window values_of_sensor as (partition by unit_id, quantity_number order by at_us)

    ),

    gaps_bounded as (

        select
            unit_id,
            quantity_number,
            longest_gap_us,
            smooth_value,
            at_us,
            {{ find_neighbours('smooth_value') }}
        from values_smoothed
        where is_near_gap
        window
            before as (
                partition by unit_id, quantity_number order by at_us
                rows between unbounded preceding and 1 preceding
            ),
            following as (
                partition by unit_id, quantity_number order by at_us
                rows between 1 following and unbounded following
            )

    ),

    gaps_filled as (

        select
            unit_id,
            quantity_number,
            at_us,
            case
                when next_at_us - last_at_us <= longest_gap_us
                    then
                        last_value + (next_value - last_value)
                        * (at_us - last_at_us) / (next_at_us - last_at_us)
                when
                    at_us - last_at_us <= longest_gap_us
                    and (next_at_us is null or next_at_us - at_us > 86400000000)
                    then last_value
            end as filled_value
        from gaps_bounded
        where smooth_value is null

    )

    select
        values_smoothed.*,
        coalesce(values_smoothed.smooth_value, gaps_filled.filled_value) as cleaned_value,
        gaps_filled.filled_value is not null as is_imputed
    from values_smoothed
    left join gaps_filled
        on
            values_smoothed.unit_id = gaps_filled.unit_id
            and values_smoothed.quantity_number = gaps_filled.quantity_number
            and values_smoothed.at_us = gaps_filled.at_us
{%- endmacro %}
