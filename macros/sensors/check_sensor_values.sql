{% macro check_sensor_values(sensor_values) -%}
    with neighbours_found as (

        select
            *,
            {{ find_neighbours('possible_value') }}
        from {{ sensor_values }}
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

    changes_found as (

        select
            *,
            case
                when
                    possible_value is not null
                    and (
                        possible_value is distinct from last_value
                        or at_us - last_at_us > longest_gap_us
                    )
                    then at_us
            end as began_at_us,
            case
                when
                    possible_value is not null
                    and (
                        possible_value is distinct from next_value
                        or next_at_us - at_us > longest_gap_us
                    )
                    then at_us
            end as ended_at_us,
            at_us - last_at_us <= longest_gap_us as is_near_last,
            next_at_us - at_us <= longest_gap_us as is_near_next
        from neighbours_found

    ),

    -- Only repeated values: a run of a single reading is never long enough.
    runs_found as (

        select
            unit_id,
            quantity_number,
            at_us,
            stuck_us,
            {{ last_known('began_at_us') }} over (
                partition by unit_id, quantity_number order by at_us
                rows between unbounded preceding and current row
            ) as began_at_us,
            {{ first_known('ended_at_us') }} over (
                partition by unit_id, quantity_number order by at_us
                rows between current row and unbounded following
            ) as ended_at_us
        from changes_found
        where possible_value is not null and (began_at_us is null or ended_at_us is null)

    ),

    long_runs_found as (

        select * from runs_found
        where ended_at_us - began_at_us >= stuck_us

    ),

    units_suspected as (

        select distinct unit_id
        from long_runs_found

    ),

    changes_suspected as (

        select changes_found.*
        from changes_found
        inner join units_suspected on changes_found.unit_id = units_suspected.unit_id

    ),

    -- The last time that any sensor of the unit changed its value, and the next time.
    units_compared as (

        select
            unit_id,
            at_us,
            {{ last_known('max(began_at_us)') }} over (
                partition by unit_id order by at_us
                rows between unbounded preceding and current row
            ) as last_began_at_us,
            {{ first_known('max(ended_at_us)') }} over (
                partition by unit_id order by at_us
                rows between current row and unbounded following
            ) as next_ended_at_us
        from changes_suspected
        group by unit_id, at_us

    ),

    stuck_values as (

        select
            long_runs_found.unit_id,
            long_runs_found.quantity_number,
            long_runs_found.at_us
        from long_runs_found
        inner join units_compared
            on
                long_runs_found.unit_id = units_compared.unit_id
                and long_runs_found.at_us = units_compared.at_us
        where
            units_compared.last_began_at_us > greatest(
                long_runs_found.began_at_us, long_runs_found.at_us - long_runs_found.stuck_us
            )
            or units_compared.next_ended_at_us < least(
                long_runs_found.ended_at_us, long_runs_found.at_us + long_runs_found.stuck_us
            )

    )

    select
        changes_found.*,
        case
            when changes_found.sensor_value is null
                then null
            when changes_found.possible_value is null
                then 'impossible_value'
            when
                changes_found.is_near_last
                and changes_found.is_near_next
                and abs(changes_found.possible_value - changes_found.last_value)
                > changes_found.largest_change_per_us
                * (changes_found.at_us - changes_found.last_at_us)
                and abs(changes_found.next_value - changes_found.possible_value)
                > changes_found.largest_change_per_us
                * (changes_found.next_at_us - changes_found.at_us)
                then 'impossible_jump'
            when stuck_values.at_us is not null
                then 'stuck'
        end as finding
    from changes_found
    left join stuck_values
        on
            changes_found.unit_id = stuck_values.unit_id
            and changes_found.quantity_number = stuck_values.quantity_number
            and changes_found.at_us = stuck_values.at_us
{%- endmacro %}
