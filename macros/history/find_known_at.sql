{#
    Over the columns of order_changes. _changed_at would not do: a late state of a returned key moves
    it for all later states. keep_known_changes drops such a state. If the loads up to this one reach no
    later than replay_after_days before its arrival, it shows the past: it counts as arrived when they reached.
    A late booking of a live source does not look like that, for the loads before it reached further.
#}
{% macro find_known_at(updated_at) -%}
    {%- set reached_at -%}
        max(case when not _is_tombstone then {{ updated_at }} end) over (order by _batch)
    {%- endset -%}
    {%- set arrived_at -%}
        case
            when _loaded_at > {{ reached_at }} + interval '{{ var("replay_after_days") }}' day
                then {{ reached_at }}
            else _loaded_at
        end
    {%- endset -%}
    case
        when _is_backfill and not _is_tombstone and {{ updated_at }} is null
            then null
        when _is_backfill
            then _seen_at
        when
            {{ business_date(arrived_at) }} > {{ add_days(
                dbt.last_day(business_date('coalesce(_seen_at, _loaded_at)'), 'month'),
                var('books_close_days')
            ) }}
            then greatest({{ arrived_at }}, coalesce(_seen_at, _loaded_at))
        else coalesce(_seen_at, _loaded_at)
    end
{%- endmacro %}
