with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

unit_limits as (

    select * from {{ ref('int_unit_limits') }}

),

-- Values as sent. One that cannot be true says nothing of the goods.
values_limited as (

    select
        readings_cleaned.unit_id,
        readings_cleaned.quantity,
        case
            when readings_cleaned.possible_value > unit_limits.highest_allowed then 'above'
            when readings_cleaned.possible_value < unit_limits.lowest_allowed then 'below'
            else 'within'
        end as direction,
        unit_limits.lowest_allowed,
        unit_limits.highest_allowed,
        unit_limits.breach_minutes,
        unit_limits.recovery_minutes,
        unit_limits.longest_silence_minutes,
        readings_cleaned.possible_value,
        readings_cleaned.is_door_open,
        readings_cleaned.read_at,
        {{ convert_to_epoch_us('readings_cleaned.read_at') }} as at_us
    from readings_cleaned
    inner join unit_limits
        on
            readings_cleaned.unit_id = unit_limits.unit_id
            and readings_cleaned.quantity = unit_limits.quantity
            and readings_cleaned.read_at >= unit_limits.valid_from
            and readings_cleaned.read_at < unit_limits.valid_to
    where
        readings_cleaned.possible_value is not null
        and readings_cleaned.finding is distinct from 'impossible_jump'

),

-- The cadence is the median of the four intervals around a reading, so one silence has no effect.
values_followed as (

    select
        *,
        lag(direction) over values_of_sensor as last_direction,
        lag(at_us) over values_of_sensor as last_at_us,
        lead(at_us) over values_of_sensor as next_at_us,
        {{ take_median([
            'at_us - lag(at_us) over values_of_sensor',
            'lag(at_us) over values_of_sensor - lag(at_us, 2) over values_of_sensor',
            'lead(at_us) over values_of_sensor - at_us',
            'lead(at_us, 2) over values_of_sensor - lead(at_us) over values_of_sensor',
        ]) }} / 60000000 as cadence_minutes
    from values_limited
    window values_of_sensor as (partition by unit_id, quantity order by at_us)

),

values_beyond_limits as (

    select
        *,
        lag(at_us) over values_of_direction as last_beyond_at_us
    from values_followed
    where direction <> 'within'
    window values_of_direction as (partition by unit_id, quantity, direction order by at_us)

),

-- Two successive readings beyond the limit show no recovery, however slow the cadence is.
values_compared as (

    select
        *,
        case
            when
                at_us - last_beyond_at_us <= recovery_minutes * cast(60000000 as bigint)
                or (
                    last_direction = direction
                    and at_us - last_at_us <= longest_silence_minutes * cast(60000000 as bigint)
                )
                then 0
            else 1
        end as begins
    from values_beyond_limits

),

int_values_beyond_limits as (

    select
        unit_id,
        quantity,
        direction,
        cast(
            sum(begins) over (
                partition by unit_id, quantity, direction
                order by at_us
                rows between unbounded preceding and current row
            ) as bigint
        ) as breach_number,
        lowest_allowed,
        highest_allowed,
        breach_minutes,
        possible_value,
        cast(cadence_minutes as double) as cadence_minutes,
        is_door_open,
        at_us,
        last_at_us,
        next_at_us,
        read_at
    from values_compared

)

select * from int_values_beyond_limits
