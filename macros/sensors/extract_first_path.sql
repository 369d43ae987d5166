{% macro extract_first_path(payload, paths, data_type) -%}
    coalesce(
        {%- for path in ([paths] if paths is string else paths) %}
        {{ dbt.safe_cast(extract_json_text(payload, path), data_type) }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
