{# Over the columns of order_changes, in staging's history views. #}
{% macro find_known_at(updated_at) -%}
    case
        when _is_backfill and not _is_tombstone and {{ updated_at }} is null
            then null
        when _is_backfill
            then _changed_at
        when
            cast(_loaded_at as date) > {{ add_days(
                dbt.last_day('coalesce(_changed_at, _loaded_at)', 'month'),
                var('books_close_days')
            ) }}
            then greatest(_loaded_at, coalesce(_changed_at, _loaded_at))
        else coalesce(_changed_at, _loaded_at)
    end
{%- endmacro %}
