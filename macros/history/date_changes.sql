{#
    Arrival tells when a change was known, unless the load shows the past again: a first load, or one whose
    latest record is old. Loads are compared with earlier ones only, so a later load changes no earlier time.
#}
{% macro date_changes(input, key, happened_at, began_at=none, affected_by=none) -%}
    {%- set relation = get_contract(input, key).relation -%}
    with ordered_changes as (

        {{ order_changes(input, key, affected_by) }}

    ),

    loads_timed as (

        select
            _load_id,
            min(_batch) as first_batch,
            max(_loaded_at) as last_loaded_at,
            max({{ happened_at }}) as last_happened_at
        from {{ relation }}
        group by _load_id

    ),

    loads_reached as (

        select
            _load_id,
            max(last_loaded_at) over (
                order by first_batch
                rows between unbounded preceding and current row
            ) as arrived_at,
            max(last_happened_at) over (
                order by first_batch
                rows between unbounded preceding and current row
            ) as reached_at,
            max(last_happened_at) over (
                order by first_batch
                rows between unbounded preceding and 1 preceding
            ) as reached_before_at
        from loads_timed

    ),

    changes_judged as (

        select
            ordered_changes.*,
            loads_reached.arrived_at,
            loads_reached.reached_before_at,
            case
                when ordered_changes._is_tombstone then loads_reached.reached_at
                else {{ happened_at }}
            end as happened_at,
            {{ began_at or happened_at }} as began_at,
            coalesce(ordered_changes._is_backfill and not ordered_changes._is_tombstone, false)
                as is_first_load,
            coalesce(
                loads_reached.arrived_at
                > loads_reached.reached_at + interval '{{ var("replay_after_days") }}' day,
                false
            ) as is_replay
        from ordered_changes
        left join loads_reached
            on ordered_changes._load_id is not distinct from loads_reached._load_id

    )

    select
        *,
        case when not _is_tombstone then happened_at end as _happened_at,
        {%- for time, known in [('happened_at', '_known_at'), ('began_at', '_began_known_at')] %}
        coalesce(
            case
                when is_first_load then {{ time }}
                when is_replay then greatest({{ time }}, reached_before_at)
                else arrived_at
            end,
            {{ beginning_of_time() }}
        ) as {{ known }},
        {%- endfor %}
        not is_first_load and not is_replay as _is_arrival_seen
    from changes_judged
{%- endmacro %}
