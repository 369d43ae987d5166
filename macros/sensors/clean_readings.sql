{% macro clean_readings(readings, rules, quantities) -%}
    with rules_beside_each_other as (

        select
            {%- for quantity in quantities %}
            {%- for rule in ['lowest_possible', 'highest_possible', 'largest_change_per_minute'] %}
            max(case when quantity = '{{ quantity }}' then {{ rule }} end)
                as {{ quantity }}_{{ rule }},
            {%- endfor %}
            {%- for rule in ['stuck', 'smoothing', 'longest_gap'] %}
            cast(max(case when quantity = '{{ quantity }}' then {{ rule }}_minutes end) as bigint)
            * 60000000
                as {{ quantity }}_{{ rule }}_us{{ ',' if not loop.last }}
            {%- endfor %}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ rules }}

    ),

    readings_timed as (

        select
            unit_id,
            {%- for quantity in quantities %}
            {{ quantity }},
            {%- endfor %}
            door_open as is_door_open,
            {{ convert_to_epoch_us('read_at') }} as at_us,
            read_at,
            _loaded_at,
            _is_backfill
        from {{ readings }}

    ),

    values_bounded as (

        select
            readings_timed.unit_id,
            {%- for quantity in quantities %}
            readings_timed.{{ quantity }},
            case
                when
                    readings_timed.{{ quantity }}
                    between coalesce(
                        rules_beside_each_other.{{ quantity }}_lowest_possible,
                        readings_timed.{{ quantity }}
                    )
                    and coalesce(
                        rules_beside_each_other.{{ quantity }}_highest_possible,
                        readings_timed.{{ quantity }}
                    )
                    then readings_timed.{{ quantity }}
            end as possible_{{ quantity }},
            rules_beside_each_other.{{ quantity }}_largest_change_per_minute / 60000000
                as {{ quantity }}_largest_change_per_us,
            rules_beside_each_other.{{ quantity }}_stuck_us,
            rules_beside_each_other.{{ quantity }}_smoothing_us,
            rules_beside_each_other.{{ quantity }}_longest_gap_us,
            {%- endfor %}
            readings_timed.is_door_open,
            readings_timed.at_us,
            readings_timed.read_at,
            readings_timed._loaded_at,
            readings_timed._is_backfill
        from readings_timed
        cross join rules_beside_each_other

    ),

    neighbours_found as (

        select
            *,
            {%- for quantity in quantities %}
            {{ last_known('possible_' ~ quantity) }} over before as last_{{ quantity }},
            {{ last_known('case when possible_' ~ quantity ~ ' is not null then at_us end') }}
                over before as last_{{ quantity }}_at_us,
            {{ first_known('possible_' ~ quantity) }} over following as next_{{ quantity }},
            {{ first_known('case when possible_' ~ quantity ~ ' is not null then at_us end') }}
                over following as next_{{ quantity }}_at_us{{ ',' if not loop.last }}
            {%- endfor %}
        from values_bounded
        window
            before as (
                partition by unit_id order by at_us
                rows between unbounded preceding and 1 preceding
            ),
            following as (
                partition by unit_id order by at_us
                rows between 1 following and unbounded following
            )

    ),

    changes_found as (

        select
            *,
            {%- for quantity in quantities %}
            {%- set value = 'possible_' ~ quantity %}
            case
                when
                    {{ value }} is not null
                    and (
                        {{ value }} is distinct from last_{{ quantity }}
                        or at_us - last_{{ quantity }}_at_us > {{ quantity }}_longest_gap_us
                    )
                    then at_us
            end as {{ quantity }}_began_at_us,
            case
                when
                    {{ value }} is not null
                    and (
                        {{ value }} is distinct from next_{{ quantity }}
                        or next_{{ quantity }}_at_us - at_us > {{ quantity }}_longest_gap_us
                    )
                    then at_us
            end as {{ quantity }}_ended_at_us{{ ',' if not loop.last }}
            {%- endfor %}
        from neighbours_found

    ),

    runs_found as (

        select
            *,
            {%- for quantity in quantities %}
            {{ last_known(quantity ~ '_began_at_us') }} over up_to_here
                as {{ quantity }}_run_began_at_us,
            {{ first_known(quantity ~ '_ended_at_us') }} over from_here
                as {{ quantity }}_run_ended_at_us,
            possible_{{ quantity }} is not null
            or coalesce(at_us - last_{{ quantity }}_at_us <= {{ quantity }}_longest_gap_us, false)
            or coalesce(next_{{ quantity }}_at_us - at_us <= {{ quantity }}_longest_gap_us, false)
                as is_{{ quantity }}_there{{ ',' if not loop.last }}
            {%- endfor %}
        from changes_found
        window
            up_to_here as (
                partition by unit_id order by at_us
                rows between unbounded preceding and current row
            ),
            from_here as (
                partition by unit_id order by at_us
                rows between current row and unbounded following
            )

    ),

    values_judged as (

        select
            unit_id,
            {%- for quantity in quantities %}
            {{ quantity }},
            case
                when {{ quantity }} is null
                    then null
                when possible_{{ quantity }} is null
                    then 'impossible_value'
                when {{ is_out_of_reach(
                    'possible_' ~ quantity,
                    'at_us',
                    'last_' ~ quantity,
                    'last_' ~ quantity ~ '_at_us',
                    'next_' ~ quantity,
                    'next_' ~ quantity ~ '_at_us',
                    quantity ~ '_largest_change_per_us',
                    quantity ~ '_longest_gap_us',
                ) | indent(16) }}
                    then 'impossible_jump'
                {%- set others = [] %}
                {%- for other in quantities if other != quantity %}
                {%- do others.append({
                    'is_there': 'is_' ~ other ~ '_there',
                    'began_at_us': other ~ '_run_began_at_us',
                    'ended_at_us': other ~ '_run_ended_at_us',
                }) %}
                {%- endfor %}
                when {{ is_stuck(
                    'at_us',
                    quantity ~ '_run_began_at_us',
                    quantity ~ '_run_ended_at_us',
                    quantity ~ '_stuck_us',
                    others,
                ) | indent(16) }}
                    then 'stuck'
            end as {{ quantity }}_finding,
            {{ quantity }}_smoothing_us,
            {{ quantity }}_longest_gap_us,
            {%- endfor %}
            is_door_open,
            at_us,
            read_at,
            _loaded_at,
            _is_backfill
        from runs_found

    ),

    good_values_kept as (

        select
            *,
            {%- for quantity in quantities %}
            case when {{ quantity }}_finding is null then {{ quantity }} end as good_{{ quantity }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from values_judged

    ),

    values_smoothed as (

        select
            *,
            {%- for quantity in quantities %}
            {{ smooth_by_median(
                'good_' ~ quantity, 'at_us', quantity ~ '_smoothing_us', over='readings_of_unit'
            ) | indent(8) }} as smooth_{{ quantity }},
            {%- endfor %}
            lead(read_at) over readings_of_unit as following_read_at,
            max(_loaded_at) over within_a_day as known_at,
            min(_is_backfill) over within_a_day as is_known_by_backfill
        from good_values_kept
        window
            readings_of_unit as (partition by unit_id order by at_us),
            within_a_day as (
                partition by unit_id order by at_us
                range between 86400000000 preceding and 86400000000 following
            )

    ),

    gaps_bounded as (

        select
            *,
            {%- for quantity in quantities %}
            {%- set at -%}
                case when smooth_{{ quantity }} is not null then at_us end
            {%- endset %}
            {{ last_known('smooth_' ~ quantity) }} over before as last_{{ quantity }},
            {{ last_known(at) }} over before as last_{{ quantity }}_at_us,
            {{ first_known('smooth_' ~ quantity) }} over following as next_{{ quantity }},
            {{ first_known(at) }} over following as next_{{ quantity }}_at_us{{ ',' if not loop.last }}
            {%- endfor %}
        from values_smoothed
        window
            before as (
                partition by unit_id order by at_us
                rows between unbounded preceding and 1 preceding
            ),
            following as (
                partition by unit_id order by at_us
                rows between 1 following and unbounded following
            )

    ),

    gaps_filled as (

        select
            *,
            {%- for quantity in quantities %}
            coalesce(
                smooth_{{ quantity }},
                {{ interpolate(
                    'at_us',
                    'last_' ~ quantity,
                    'last_' ~ quantity ~ '_at_us',
                    'next_' ~ quantity,
                    'next_' ~ quantity ~ '_at_us',
                    quantity ~ '_longest_gap_us',
                ) | indent(12) }}
            ) as cleaned_{{ quantity }}{{ ',' if not loop.last }}
            {%- endfor %}
        from gaps_bounded

    )

    select
        unit_id,
        {%- for quantity in quantities %}
        {{ quantity }}_finding,
        {{ quantity }},
        cleaned_{{ quantity }},
        smooth_{{ quantity }} is null and cleaned_{{ quantity }} is not null
            as is_{{ quantity }}_imputed,
        {%- endfor %}
        is_door_open,
        read_at,
        case
            when following_read_at <= {{ dbt.dateadd('day', 1, 'read_at') }}
                then following_read_at
        end as next_read_at,
        known_at as _loaded_at,
        is_known_by_backfill as _is_backfill
    from gaps_filled
{%- endmacro %}
