{% macro bucket(column, buckets, closed='left', outside='clip') -%}
    {%- set fitted = "from " ~ buckets ~ " where column_name = '" ~ column.split('.') | last ~ "'" -%}
    {{ number_bucket(
        column,
        lowest='(select min(lower_edge) ' ~ fitted ~ ')',
        highest='(select max(upper_edge) ' ~ fitted ~ ')',
        edges_passed=count_elements(
            '(select ' ~ collect_sorted('lower_edge') ~ ' ' ~ fitted ~ ' and bucket_number > 0)',
            'element ' ~ ('<=' if closed == 'left' else '<') ~ ' ' ~ nan_to_null(column)
        ),
        closed=closed,
        outside=outside,
    ) }}
{%- endmacro %}
