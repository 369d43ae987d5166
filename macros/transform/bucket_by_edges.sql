{% macro bucket_by_edges(column, edges, closed='left', outside='clip') -%}
    {%- set passed = [] -%}
    {%- for edge in edges[1:-1] -%}
        {%- do passed.append(
            'case when ' ~ edge ~ (' <= ' if closed == 'left' else ' < ') ~ nan_to_null(column) ~ ' then 1 else 0 end'
        ) -%}
    {%- endfor -%}
    {{ number_bucket(
        column,
        lowest=edges | first,
        highest=edges | last,
        edges_passed=passed | join(' + ') or '0',
        closed=closed,
        outside=outside,
    ) }}
{%- endmacro %}
