-- Cold-chain fridges and freezers. Times are in seconds since the first midnight of the history,
-- and temperatures in hundredths of a degree Celsius. Devices report from December 2025 on. At
-- scale 1, 48 devices send about 300,000 readings. The smallest fleet has one device of each
-- firmware.
set variable telemetry_start_day = 334;

set variable sites = [
    'Leeds depot', 'Lyon depot', 'Ghent depot', 'Utrecht shop', 'Malmo shop', 'Graz shop'
];

create macro unit_count() as greatest(3, (scale_permille() * 48 + 500) // 1000);

create macro unit_id_of(unit_number) as 'U' || lpad(cast(unit_number + 1 as varchar), 5, '0');

create macro day_of_second(second) as second // 86400;

-- Convert an integer to an exact decimal number for JSON: 497 hundredths become 4.97.
create macro hundredths(number) as cast(number * 0.01 as decimal(12, 2));

create macro tenths(number) as cast(number * 0.1 as decimal(12, 1));

create table units as

with drawn as (

    select
        unit_number,
        bits_of('unit', unit_number) as unit_bits,
        bits_of('move', unit_number) as move_bits
    from range(0, unit_count()) as numbers (unit_number)

),

units as (

    select
        unit_number,
        ['flat', 'nested', 'list'][1 + unit_number % 3] as firmware,
        [15, 20, 30][1 + unit_number % 3] as interval_minutes,
        if(unit_number % 4 = 3, 'FZ-120', if(unit_number % 8 < 4, 'CF-200', 'CF-400')) as model,
        if(unit_number % 4 = 3, -2000, 500) as setpoint,
        if(unit_number % 4 = 3, -1500, 800) as upper_limit,
        -- A freezer warms up faster, because it is much colder than the room.
        if(unit_number % 4 = 3, 2, 1) as warming,
        draw_from(unit_bits, 0, getvariable('sites')) as site,
        draw_from(unit_bits, 1, getvariable('sites')) as next_site,
        draw(unit_bits, 2, 30) as phase_days,
        draw(unit_bits, 3, 60) as offset_seconds,
        -- A quarter of the units are new. The others are older than the telemetry.
        if(
            draw(move_bits, 0, 4) = 0,
            getvariable('telemetry_start_day') + draw(move_bits, 1, 40),
            -100 - draw(move_bits, 1, 900)
        ) as installed_day_number,
        if(
            draw(move_bits, 2, 6) = 0 and site <> next_site,
            getvariable('telemetry_start_day') + 50 + draw(move_bits, 3, 80),
            null
        ) as moved_day_number
    from drawn

)

select
    *,
    greatest(installed_day_number, getvariable('telemetry_start_day')) as first_day_number
from units;

-- Events of a unit in each cycle of 30 days, at most one of each kind. No event hides another.
-- Day 0: a clock reset. Days 1 to 5: a stuck sensor. Days 6 and 7: an offline device. Days 8 to 25:
-- the start of a failure. Day 27 or 28: a door left open.
create table unit_cycles as

with cycles as (

    select
        units.*,
        numbers.cycle_number,
        (
            getvariable('telemetry_start_day') - units.phase_days + 30 * numbers.cycle_number
        ) * 86400 as started_second
    from units
    cross join range(
        0, 2 + greatest(0, getvariable('until_day') - getvariable('telemetry_start_day')) // 30
    ) as numbers (cycle_number)

),

drawn as (

    select
        *,
        bits_of('failure', unit_number || '/' || cycle_number) as failure_bits,
        bits_of('stuck', unit_number || '/' || cycle_number) as stuck_bits,
        bits_of('offline', unit_number || '/' || cycle_number) as offline_bits,
        bits_of('door', unit_number || '/' || cycle_number) as door_bits,
        bits_of('reset', unit_number || '/' || cycle_number) as reset_bits
    from cycles

),

events_drawn as (

    select
        *,
        if(
            draw(failure_bits, 0, 100) < 55,
            started_second + 8 * 86400 + draw_of_many(failure_bits, 1, 18 * 86400),
            null
        ) as failed_second,
        if(
            (cycle_number + unit_number) % 2 = 0,
            started_second + 2 * 86400 + 28800 + draw(failure_bits, 1, 20000),
            null
        ) as serviced_second,
        if(
            draw(stuck_bits, 0, 100) < 35,
            started_second + 86400 + draw(stuck_bits, 1, 3 * 86400),
            null
        ) as stuck_second,
        28800 + draw(stuck_bits, 2, 115200) as stuck_seconds,
        draw(stuck_bits, 3, 100) as stuck_draw,
        if(
            draw(offline_bits, 0, 100) < 70,
            started_second + 6 * 86400 + draw(offline_bits, 1, 36000),
            null
        ) as offline_second,
        3600 + draw(offline_bits, 2, 118800) as offline_seconds,
        draw(offline_bits, 3, 2) = 0 as is_sent_later,
        if(
            draw(door_bits, 0, 100) < 80,
            started_second
            + (27 + draw(door_bits, 1, 2)) * 86400
            + 25200
            + draw(door_bits, 2, 36000),
            null
        ) as door_second,
        7200 + draw(door_bits, 3, 10800) as door_seconds,
        if(
            draw(reset_bits, 0, 100) < 40, started_second + draw(reset_bits, 1, 50000), null
        ) as reset_second,
        3600 + draw(reset_bits, 2, 10800) as reset_seconds,
        if(draw(reset_bits, 3, 2) = 0, '1970-01-01', '2000-01-01') as reset_date
    from drawn

),

-- Drop events from before the installation. A failure needs the five days of drift before it.
unit_cycles as (

    select
        * replace (
            if(failed_second >= (first_day_number + 6) * 86400, failed_second, null)
                as failed_second,
            if(serviced_second >= first_day_number * 86400, serviced_second, null)
                as serviced_second,
            if(stuck_second >= (first_day_number + 1) * 86400, stuck_second, null) as stuck_second,
            if(door_second >= (first_day_number + 1) * 86400, door_second, null) as door_second
        ),
        if(stuck_draw < 70, 'temperature_celsius', 'humidity_pct') as stuck_quantity,
        setpoint + stuck_draw - 50 as stuck_temperature,
        400 + stuck_draw as stuck_humidity,
        10800 + draw(failure_bits, 1, 25200) as repair_seconds,
        days_late(draw(failure_bits, 0, 1000), 100, 0) as entry_delay_days
    from events_drawn

)

select * from unit_cycles;

-- Readings as the devices take them, only of days that may have new rows.
create table readings_taken as

with days as (

    select unnest(range(
        greatest(getvariable('telemetry_start_day'), cast(getvariable('since_day') as bigint) - 12),
        cast(getvariable('until_day') as bigint) + 1
    )) as day_number

),

slots as (

    select
        units.unit_number,
        days.day_number,
        unnest(range(0, 1440 // units.interval_minutes)) as slot,
        units.interval_minutes,
        units.offset_seconds,
        (days.day_number - getvariable('telemetry_start_day') + units.phase_days) // 30
            as cycle_number
    from units
    inner join days on units.first_day_number <= days.day_number

),

drawn as (

    select
        *,
        bits_of('reading', unit_number || '/' || day_number || '/' || slot) as reading_bits
    from slots

),

timed as (

    select
        drawn.unit_number,
        drawn.reading_bits,
        drawn.day_number,
        unit_cycles.* exclude (unit_number), -- noqa: RF02
        drawn.day_number * 86400 + drawn.slot * drawn.interval_minutes * 60
        + drawn.offset_seconds + draw(drawn.reading_bits, 3, 20) as second,
        draw(drawn.reading_bits, 2, 10000) as fault_draw
    from drawn
    inner join unit_cycles
        on
            drawn.unit_number = unit_cycles.unit_number
            and drawn.cycle_number = unit_cycles.cycle_number

),

conditions as (

    select
        *,
        coalesce(second between stuck_second and stuck_second + stuck_seconds, false) as is_stuck,
        coalesce(second between door_second and door_second + door_seconds, false)
            as is_door_left_open,
        coalesce(second between offline_second and offline_second + offline_seconds, false)
            as is_offline,
        coalesce(second between reset_second and reset_second + reset_seconds, false) as is_reset,
        -- The progress of a failure, in permille of the five days before it.
        case
            when second between failed_second - 432000 and failed_second + repair_seconds
                then least(1000, (second - failed_second + 432000) * 1000 // 432000)
            else 0
        end as wear_permille,
        -- Staff open the door in working hours.
        draw(reading_bits, 0, 100) < 8 and (second % 86400) // 3600 between 7 and 17 as is_in_use
    from timed

),

warmed as (

    select
        *,
        case
            when second between door_second and door_second + door_seconds
                then least(700, (second - door_second) * 12 // 60)
            when second > door_second + door_seconds
                then greatest(
                    0,
                    least(700, door_seconds * 12 // 60)
                    - (second - door_second - door_seconds) * 12 // 60
                )
            else 0
        end as door_warmth,
        case
            when second between failed_second - 14400 and failed_second + repair_seconds
                then least(1500, (second - failed_second + 14400) * 5 // 120)
            when second > failed_second + repair_seconds
                then greatest(
                    0,
                    least(1500, (repair_seconds + 14400) * 5 // 120)
                    - (second - failed_second - repair_seconds) * 12 // 60
                )
            else 0
        end as failure_warmth
    from conditions

),

measured as (

    select
        *,
        setpoint
        + warming * (door_warmth + failure_warmth + 200 * wear_permille // 1000)
        + abs(second % 86400 - 43200) * -30 // 43200 + 15
        + draw(reading_bits, 0, 31) - 15
        + if(is_in_use, 40 * warming, 0) as true_temperature,
        430 + draw(reading_bits, 1, 41) + door_warmth // 6 as true_humidity,
        100 + draw(reading_bits, 1, 17) + 250 * wear_permille // 1000 as vibration,
        800 + draw(reading_bits, 0, 61) + 240 * wear_permille // 1000 as power
    from warmed

),

readings_taken as (

    select
        *,
        case
            when is_stuck and stuck_quantity = 'temperature_celsius' then stuck_temperature
            when fault_draw < 6 then -12700
            when fault_draw < 24 then true_temperature + 2000 + draw(reading_bits, 1, 2000)
            when fault_draw < 60 then true_temperature + 150 + draw(reading_bits, 1, 100)
            else true_temperature
        end as temperature,
        if(
            is_stuck and stuck_quantity = 'humidity_pct', stuck_humidity, true_humidity
        ) as humidity,
        is_in_use or is_door_left_open as is_door_open,
        -- Half of the offline devices store their readings, and send them all at once afterwards.
        case
            when is_offline then day_of_second(offline_second + offline_seconds) + 1
            when fault_draw between 9900 and 9999 then day_number + 1
            else day_number
        end as sent_day_number,
        if(
            is_reset,
            cast(reset_date as timestamp) + to_seconds(cast(second - reset_second as bigint)),
            moment(0, second)
        ) as read_at
    from measured
    where not is_offline or is_sent_later

)

select * from readings_taken
where is_news(sent_day_number) or is_news(sent_day_number + 1);

-- The messages in the format of each firmware. Some are sent twice, and a few are truncated.
create table equipment_readings as

with sent as (

    select
        *,
        sent_day_number as _sent_day_number
    from readings_taken

    union all

    select
        *,
        sent_day_number + fault_draw % 2 as _sent_day_number
    from readings_taken
    where fault_draw between 9000 and 9049

),

written as (

    select
        case firmware
            when 'flat'
                then cast(to_json({
                    unit_id: unit_id_of(unit_number),
                    ts: strftime(read_at, '%Y-%m-%dT%H:%M:%SZ'),
                    fw: '1.4.2',
                    temperature: hundredths(temperature),
                    humidity: tenths(humidity),
                    vibration: hundredths(vibration),
                    door_open: is_door_open,
                    power: tenths(power)
                }) as varchar)
            when 'nested'
                then cast(to_json({
                    device: {id: unit_id_of(unit_number), firmware: '2.0.7'},
                    time: cast(epoch(read_at) as bigint),
                    data: {
                        temp_f: hundredths(temperature * 9 // 5 + 3200),
                        rh: tenths(humidity),
                        vib: if(fault_draw % 100 = 7, null, hundredths(vibration)),
                        door: if(is_door_open, 'open', 'closed'),
                        watts: tenths(power)
                    }
                }) as varchar)
            else cast(to_json({
                dev: unit_id_of(unit_number),
                taken: strftime(read_at, '%Y-%m-%d %H:%M:%S+00:00'),
                sensors: list_filter([
                    {type: 'temp', value: temperature // 10, unit: '0.1C'},
                    {type: 'hum', value: humidity, unit: '0.1%'},
                    {type: 'vib', value: vibration, unit: '0.01mm/s'},
                    {type: 'door', value: cast(is_door_open as integer), unit: 'bool'},
                    {type: 'pow', value: power, unit: '0.1W'}
                ], lambda sensor: sensor.type <> 'hum' or fault_draw % 100 <> 7) -- noqa: RF03
            }) as varchar)
        end as message,
        fault_draw,
        second,
        _sent_day_number,
        second * 100000 + unit_number as _place
    from sent

)

select
    if(fault_draw between 8000 and 8001, left(message, 40), message) as record,
    _sent_day_number,
    _place
from written
where is_news(_sent_day_number);

-- The register of units: one row per new unit, and one per move to another site.
create table equipment_units as

with states as (

    select
        unit_number,
        site,
        model,
        installed_day_number,
        greatest(0, installed_day_number) as _sent_day_number,
        moment(installed_day_number, 36000) as updated_at
    from units

    union all

    select
        unit_number,
        next_site as site,
        model,
        installed_day_number,
        moved_day_number as _sent_day_number,
        moment(moved_day_number, 36000) as updated_at
    from units
    where moved_day_number is not null

)

select
    unit_id_of(unit_number) as unit_id,
    site,
    model,
    strftime(moment(installed_day_number, 36000), '%Y-%m-%d %H:%M:%S') as installed_at,
    strftime(updated_at, '%Y-%m-%d %H:%M:%S') as updated_at,
    _sent_day_number,
    unit_number as _place
from states
where is_news(_sent_day_number);

-- Jobs of the service desk: one row per failure or service.
create table equipment_jobs as

select
    unit_number,
    unit_id_of(unit_number) as unit_id,
    'M'
    || lpad(cast(unit_number + 1 as varchar), 5, '0')
    || lpad(cast(cycle_number as varchar), 3, '0')
    || 'F' as maintenance_id,
    'failure' as kind,
    failed_second as started_second,
    failed_second + repair_seconds as ended_second,
    day_of_second(failed_second) + entry_delay_days as opened_shown_day_number
from unit_cycles
where failed_second is not null

union all

select
    unit_number,
    unit_id_of(unit_number) as unit_id,
    'M'
    || lpad(cast(unit_number + 1 as varchar), 5, '0')
    || lpad(cast(cycle_number as varchar), 3, '0')
    || 'S' as maintenance_id,
    'service' as kind,
    serviced_second as started_second,
    serviced_second + 5400 as ended_second,
    day_of_second(serviced_second) as opened_shown_day_number
from unit_cycles
where serviced_second is not null;

-- The export of the service desk: one row when a job is opened, and one when it ends.
create table equipment_maintenance as

with states as (

    select
        *,
        null as shown_ended_second,
        started_second as updated_second,
        opened_shown_day_number as _sent_day_number
    from equipment_jobs

    union all

    select
        *,
        ended_second as shown_ended_second,
        ended_second as updated_second,
        greatest(opened_shown_day_number, day_of_second(ended_second)) as _sent_day_number
    from equipment_jobs

)

select
    maintenance_id,
    unit_id,
    kind,
    strftime(moment(0, started_second), '%Y-%m-%d %H:%M:%S') as started_at,
    strftime(moment(0, shown_ended_second), '%Y-%m-%d %H:%M:%S') as ended_at,
    strftime(moment(0, updated_second), '%Y-%m-%d %H:%M:%S') as updated_at,
    _sent_day_number,
    updated_second * 100000 + unit_number as _place
from states
where is_news(_sent_day_number);
