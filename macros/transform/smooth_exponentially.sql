{#
    A sum of values times weights that grow with each reading, divided by the sum of the weights.
    Weights would outgrow a double, so readings are cut into stretches over which a weight fades to
    e^-300; in a stretch they begin at 1 again, and of earlier ones the last is all that still counts.
#}
{% macro smooth_exponentially(relation, column, alpha, order_by, partition_by=none, smoothed_as=none) -%}
    {%- if not 0 < alpha < 1 -%}
        {%- do exceptions.raise_compiler_error('alpha is ' ~ alpha ~ '; it lies between 0 and 1.') -%}
    {%- endif -%}
    {%- set group = [partition_by] if partition_by is string else partition_by or [] -%}
    with readings_aged as (

        select
            *,
            {{ nan_to_null(column) }} as _reading,
            -ln(1 - {{ alpha }}) * count({{ nan_to_null(column) }}) over (
                {{ order_rows(order_by, group) }}
                rows between unbounded preceding and current row
            ) as _age
        from {{ relation }}

    ),

    readings_weighted as (

        select
            *,
            floor(_age / 300) as _stretch,
            exp(_age - 300 * floor(_age / 300)) * _reading as _weighted_reading,
            case when _reading is not null then exp(_age - 300 * floor(_age / 300)) end as _weight
        from readings_aged

    )

    select
        *,
        (
            sum(_weighted_reading) over stretch_so_far
            + exp(-300) * coalesce(sum(_weighted_reading) over stretch_before, 0)
        ) / (
            sum(_weight) over stretch_so_far
            + exp(-300) * coalesce(sum(_weight) over stretch_before, 0)
        ) as {{ smoothed_as or column ~ '_smoothed' }}
    from readings_weighted
    window
        stretch_so_far as (
            {{ order_rows(order_by, group + ['_stretch']) }}
            rows between unbounded preceding and current row
        ),
        stretch_before as (
            {{ order_rows('_stretch', group) }}
            range between 1 preceding and 1 preceding
        )
{%- endmacro %}
