{#
    Over the columns of order_changes. _changed_at would not do: a late state of a returned key moves it for
    all later states. keep_known_changes drops such a state.
#}
{% macro find_known_at(updated_at) -%}
    case
        when _is_backfill and not _is_tombstone and {{ updated_at }} is null
            then null
        when _is_backfill
            then _seen_at
        when
            {{ business_date('_loaded_at') }} > {{ add_days(
                dbt.last_day(business_date('coalesce(_seen_at, _loaded_at)'), 'month'),
                var('books_close_days')
            ) }}
            then greatest(_loaded_at, coalesce(_seen_at, _loaded_at))
        else coalesce(_seen_at, _loaded_at)
    end
{%- endmacro %}
