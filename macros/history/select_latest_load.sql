{% macro select_latest_load(one, other) -%}
    greatest({{ one }}._loaded_at, {{ other }}._loaded_at) as _loaded_at,
    case
        when {{ one }}._loaded_at > {{ other }}._loaded_at then {{ one }}._is_backfill
        when {{ one }}._loaded_at < {{ other }}._loaded_at then {{ other }}._is_backfill
        else {{ one }}._is_backfill or {{ other }}._is_backfill
    end as _is_backfill
{%- endmacro %}
