with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

sensor_monitoring as (

    select * from {{ ref('sensor_monitoring') }}

),

last_readings as (

    select
        unit_id,
        quantity,
        max(read_at) as last_read_at
    from readings_cleaned
    group by unit_id, quantity

),

values_not_believed as (

    select * from readings_cleaned
    where finding is not null

),

values_compared as (

    select
        *,
        case
            when
                lag(read_at) over findings_of_sensor + longest_gap_minutes * interval '1' minute
                >= read_at
                and (
                    finding <> 'stuck'
                    or lag(sensor_value) over findings_of_sensor = sensor_value
                )
                then 0
            else 1
        end as begins
    from values_not_believed
    window findings_of_sensor as (partition by unit_id, quantity, finding order by read_at)

),

faults_numbered as (

    select
        *,
        sum(begins) over (
            partition by unit_id, quantity, finding
            order by read_at
            rows between unbounded preceding and current row
        ) as fault_number
    from values_compared

),

faults_bounded as (

    select
        unit_id,
        quantity,
        finding,
        count(*) as reading_count,
        min(sensor_value) as lowest_value,
        max(sensor_value) as highest_value,
        min(read_at) as started_at,
        max(read_at) as ended_at
    from faults_numbered
    group by unit_id, quantity, finding, fault_number

),

sensor_faults as (

    select
        faults_bounded.unit_id,
        dim_unit.site,
        dim_unit.model,
        faults_bounded.quantity,
        faults_bounded.finding,
        faults_bounded.reading_count,
        faults_bounded.lowest_value,
        faults_bounded.highest_value,
        sensor_monitoring.disbelieved_pct,
        faults_bounded.ended_at = last_readings.last_read_at as is_going_on,
        faults_bounded.started_at,
        faults_bounded.ended_at
    from faults_bounded
    inner join last_readings
        on
            faults_bounded.unit_id = last_readings.unit_id
            and faults_bounded.quantity = last_readings.quantity
    left join sensor_monitoring
        on
            faults_bounded.unit_id = sensor_monitoring.unit_id
            and faults_bounded.quantity = sensor_monitoring.quantity
    left join dim_unit
        on {{ as_of('dim_unit', 'faults_bounded.unit_id', at='faults_bounded.started_at') }}

)

select * from sensor_faults
