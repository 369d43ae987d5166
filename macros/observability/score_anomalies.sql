{#
    Each value is compared with those before it alone: its level, and what its phase usually adds. The levels of the
    series may rise: the lag of the level is in the offset, too. A season counts once it has shown itself, if it makes
    the series more predictable. A series that has not moved has no spread: the first other value scores its units.
#}
{% macro score_anomalies(series, reach=28, seasons=8, recent=7) -%}
    {%- set before = 'rows between ' ~ reach ~ ' preceding and 1 preceding' -%}
    {%- set long_before = 'rows between ' ~ 2 * reach ~ ' preceding and 1 preceding' -%}
    (
        with levels_known as (

            select
                *,
                value - {{ take_window_quantile('value', 0.5) }} over in_order as deviation,
                count(value) over (
                    partition by series_name order by unit_at
                    rows between unbounded preceding and 1 preceding
                ) as history_count,
                case when value = lag(value) over in_series then 1 else 0 end as repeat_count
            from {{ series }}
            window
                in_order as (partition by series_name order by unit_at {{ before }}),
                in_series as (partition by series_name order by unit_at)

        ),

        offsets_known as (

            select
                *,
                deviation
                - {{ take_window_quantile('deviation', 0.5) }} over in_order as plain_residual,
                case when count(deviation) over in_phase >= 3
                    then deviation - {{ take_window_quantile('deviation', 0.5) }} over in_phase
                end as seasonal_residual,
                sum(1 - repeat_count) over (
                    partition by series_name order by unit_at
                    rows between unbounded preceding and current row
                ) as run_number,
                (1 + coalesce(sum(repeat_count) over in_long, 0))
                / (2.0e0 + count(value) over in_long) as repeated_share
            from levels_known
            window
                in_order as (partition by series_name order by unit_at {{ before }}),
                in_long as (partition by series_name order by unit_at {{ long_before }}),
                in_phase as (
                    partition by series_name, phase order by unit_at
                    rows between {{ seasons }} preceding and 1 preceding
                )

        ),

        spreads_known as (

            select
                *,
                {{ estimate_spread('plain_residual', 'in_long') }} as plain_spread,
                case when count(seasonal_residual) over in_long >= 14
                    then {{ estimate_spread('seasonal_residual', 'in_long') }}
                end as seasonal_spread,
                row_number() over in_run as run_length,
                first_value(repeated_share) over in_run as usual_repeated_share
            from offsets_known
            window
                in_long as (partition by series_name order by unit_at {{ long_before }}),
                in_run as (
                    partition by series_name, run_number order by unit_at
                    rows between unbounded preceding and current row
                )

        ),

        residuals_chosen as (

            select
                *,
                coalesce(seasonal_spread < plain_spread, false) as is_seasonal,
                case
                    when seasonal_spread < plain_spread then seasonal_residual else plain_residual
                end as residual,
                greatest(least(seasonal_spread, plain_spread), noise) as spread,
                max(run_length) over (
                    partition by series_name order by run_number
                    range between unbounded preceding and 1 preceding
                ) as longest_run
            from spreads_known

        ),

        shifts_known as (

            select
                *,
                max(abs(residual)) over (
                    partition by series_name order by unit_at {{ long_before }}
                ) as largest_residual,
                sqrt({{ recent }})
                * avg(greatest(-3, least(3, residual / nullif(spread, 0)))) over (
                    partition by series_name order by unit_at
                    rows between {{ recent - 1 }} preceding and current row
                ) as shift
            from residuals_chosen

        )

        select
            series_name,
            unit_at,
            value,
            history_count,
            is_seasonal,
            run_length,
            value - residual as expected,
            spread,
            case
                when spread > 0 then residual / spread
                when abs(residual) > 1e6 * largest_residual
                    then sign(residual) * least(history_count, {{ 2 * reach }})
            end as score,
            shift * spread / sqrt({{ recent }}) as shift,
            shift / greatest({{ estimate_spread('shift', 'of_shifts') }}, 1) as shift_score,
            case
                when run_length > 1.5 * longest_run
                    then -(run_length - 1) * log10(usual_repeated_share)
                else 0
            end as stuck_score
        from shifts_known
        window of_shifts as (
            partition by series_name order by unit_at
            rows between {{ 2 * reach + recent }} preceding and {{ recent }} preceding
        )
    )
{%- endmacro %}
