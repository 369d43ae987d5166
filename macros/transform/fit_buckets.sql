{% macro fit_buckets(relation, columns, bucket_count, method='quantile', where='true', time=none) -%}
    {%- if method not in ['quantile', 'uniform'] -%}
        {%- do exceptions.raise_compiler_error(
            "There are no buckets '" ~ method ~ "'. There are quantile and uniform."
        ) -%}
    {%- endif -%}
    {%- set shares = [] -%}
    {%- for edge_number in range(bucket_count + 1) -%}
        {%- do shares.append(edge_number ~ ' / ' ~ bucket_count ~ '.0') -%}
    {%- endfor -%}
    with columns_aggregated as (

        select
            count(*) as row_count,
            {{ 'max(' ~ time ~ ')' if time else 'cast(null as timestamp)' }} as latest_row_at
            {%- for column in columns %}
            {%- set number = nan_to_null(column) %},
            {%- if method == 'quantile' %}
            {{ take_quantiles(number, shares) }} as {{ column }}__edges
            {%- else %}
            min({{ number }}) as {{ column }}__smallest,
            max({{ number }}) as {{ column }}__largest
            {%- endif %}
            {%- endfor %}
        from {{ relation }}
        where {{ where }}

    ),

    edges_listed as (

        {% for column in columns -%}
        {%- set outer_loop = loop -%}
        {%- for share in shares -%}
        {{ 'union all' if not (loop.first and outer_loop.first) }}
        select
            '{{ column }}' as column_name,
            {{ loop.index0 }} as edge_number,
            {%- if method == 'quantile' %}
            {{ take_element(column ~ '__edges', loop.index) }} as edge,
            {%- elif loop.last %}
            {{ column }}__largest as edge,
            {%- else %}
            {{ column }}__smallest
            + {{ loop.index0 }} * (
                ({{ column }}__largest - {{ column }}__smallest) / {{ bucket_count }}.0
            ) as edge,
            {%- endif %}
            row_count,
            latest_row_at
        from columns_aggregated
        {% endfor -%}
        {%- endfor %}

    ),

    edges_paired as (

        select
            column_name,
            edge as lower_edge,
            lead(edge) over (
                partition by column_name
                order by edge_number
            ) as upper_edge,
            edge_number,
            min(edge) over (partition by column_name)
            = max(edge) over (partition by column_name) as is_constant,
            row_count,
            latest_row_at
        from edges_listed
        where edge is not null

    )

    select
        column_name,
        '{{ method }}' as method,
        row_number() over (
            partition by column_name
            order by edge_number
        ) - 1 as bucket_number,
        lower_edge,
        upper_edge,
        row_count,
        cast(latest_row_at as timestamp) as latest_row_at
    from edges_paired
    where
        lower_edge < upper_edge
        or (is_constant and edge_number = 0)
{%- endmacro %}
