{#
    One scan for all columns. What is constant is divided by 1: by scikit-learn's own bounds, within
    which a spread is the rounding of sums.
#}
{% macro fit_numbers(relation, columns, method, where, time) -%}
    {%- set epsilon = '2.220446049250313e-16' -%}
    with columns_aggregated as (

        select
            count(*) as row_count,
            {{ 'max(' ~ time ~ ')' if time else 'cast(null as timestamp)' }} as latest_row_at
            {%- for column in columns %}
            {%- set number = nan_to_null(column) %},
            count({{ number }}) as {{ column }}__known_count,
            {%- if method == 'standard' %}
            avg({{ number }}) as {{ column }}__center,
            var_pop({{ number }}) as {{ column }}__spread
            {%- elif method == 'min_max' %}
            min({{ number }}) as {{ column }}__center,
            max({{ number }}) - min({{ number }}) as {{ column }}__spread
            {%- else %}
            {{ take_quantiles(number, [0.25, 0.5, 0.75]) }} as {{ column }}__quartiles
            {%- endif %}
            {%- endfor %}
        from {{ relation }}
        where {{ where }}

    )

    {% for column in columns -%}
    {%- set center = column ~ '__center' -%}
    {%- set spread = column ~ '__spread' -%}
    {%- if method in ['median', 'robust'] -%}
        {%- set center = take_element(column ~ '__quartiles', 2) -%}
        {%- set quartiles = column ~ '__quartiles' -%}
        {%- set spread = take_element(quartiles, 3) ~ ' - ' ~ take_element(quartiles, 1) -%}
    {%- endif -%}
    {{ 'union all' if not loop.first }}
    select
        '{{ column }}' as column_name,
        '{{ method }}' as method,
        {{ center }} as center,
        {%- if method == 'median' %}
        cast(null as double) as scale,
        {%- elif method == 'standard' %}
        case
            when
                {{ spread }} <= {{ column }}__known_count * {{ epsilon }} * {{ spread }}
                + power({{ column }}__known_count * {{ center }} * {{ epsilon }}, 2)
                then cast(1 as double)
            else sqrt({{ spread }})
        end as scale,
        {%- else %}
        case
            when {{ spread }} < 10 * {{ epsilon }} then cast(1 as double)
            else {{ spread }}
        end as scale,
        {%- endif %}
        row_count,
        row_count - {{ column }}__known_count as missing_count,
        cast(latest_row_at as timestamp) as latest_row_at
    from columns_aggregated
    {% endfor %}
{%- endmacro %}
