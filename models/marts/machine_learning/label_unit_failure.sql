with equipment_health as (

    select * from {{ ref('equipment_health') }}

),

failures as (

    select * from {{ ref('int_failures_bounded') }}

),

maintenance as (

    select * from {{ ref('stg_equipment__maintenance') }}

),

-- A job that was entered shows that jobs of its time are entered.
jobs_entered as (

    select
        case
            when _is_backfill then coalesce(ended_at, started_at)
            else greatest(started_at, _loaded_at)
        end as entered_at
    from maintenance

),

entry_days_reached as (

    {{ list_days_reached('jobs_entered', happened_at='entered_at', known_at='entered_at') }}

),

hours_ranked as (

    select
        unit_id,
        hour_at,
        known_at,
        row_number() over (
            partition by unit_id, {{ business_date('hour_at') }} order by hour_at
        ) as hour_rank
    from equipment_health

),

last_hour as (

    select {{ business_date('max(known_at)') }} as latest_date
    from equipment_health

),

days_timed as (

    select
        hours_ranked.unit_id,
        hours_ranked.hour_at,
        hours_ranked.known_at,
        {{ dbt.dateadd('day', var('unit_failure_horizon_days'), 'hours_ranked.known_at') }}
            as horizon_ends_at,
        {{ add_days(
            business_date('hours_ranked.known_at'),
            var('unit_failure_horizon_days') + var('failure_label_delay_days') + 1,
        ) }} as matures_date,
        last_hour.latest_date
    from hours_ranked
    cross join last_hour
    where hours_ranked.hour_rank = 1

),

days_with_failures as (

    select
        days_timed.*,
        coalesce(days_timed.known_at < last_failures.in_repair_until, false) as is_in_repair,
        coalesce(next_failures.started_at <= days_timed.horizon_ends_at, false) as is_failing,
        case
            when next_failures.started_at > days_timed.horizon_ends_at then null
            when next_failures._is_backfill then next_failures.started_at
            else greatest(next_failures.started_at, next_failures._loaded_at)
        end as failure_known_at,
        case
            when
                entry_days_reached.known_date <= days_timed.latest_date
                and days_timed.horizon_ends_at
                < {{ begin_business_day('days_timed.latest_date') }}
                then entry_days_reached.known_date
        end as label_known_date
    from days_timed
    left join failures as last_failures
        on
            days_timed.unit_id = last_failures.unit_id
            and days_timed.known_at >= last_failures.started_at
            and days_timed.known_at < last_failures.next_started_at
    left join failures as next_failures
        on
            days_timed.unit_id = next_failures.unit_id
            and days_timed.known_at >= next_failures.previous_started_at
            and days_timed.known_at < next_failures.started_at
    left join entry_days_reached
        on
            {{ covers_day('entry_days_reached', 'days_timed.matures_date') }}

),

labels_stated as (

    select
        *,
        case
            when is_in_repair then 'not followed'
            when label_known_date is null then 'too recent'
            else 'known'
        end as label_state
    from days_with_failures

),

label_unit_failure as (

    select
        unit_id,
        label_state,
        case when label_state = 'known' then is_failing end as is_failing,
        hour_at,
        known_at as as_of,
        horizon_ends_at,
        case
            when label_state = 'known'
                then
                    greatest(
                        {{ begin_business_day('label_known_date') }},
                        coalesce(failure_known_at, {{ beginning_of_time() }})
                    )
        end as label_known_at
    from labels_stated

)

select * from label_unit_failure
