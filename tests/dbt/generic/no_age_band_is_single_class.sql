{# A band of few rows may have one class by chance, and rare outcomes come in clusters. #}
{% test no_age_band_is_single_class(model, bands=20, fewest_expected=20) %}

    {%- set columns = get_training_columns() %}

    with rows_aged as (

        select
            case when {{ columns.label }} then 1.0e0 else 0.0e0 end as label,
            {{ convert_to_epoch_us('cast(' ~ columns.time ~ ' as timestamp)') }} as at_us
        from {{ model }}
        where {{ columns.label }} is not null

    ),

    spans as (

        select
            min(at_us) as first_us,
            max(at_us) + 1 as last_us,
            avg(label) as share
        from rows_aged

    ),

    bands_counted as (

        select
            cast(floor(
                cast({{ bands }} as double) * (spans.last_us - 1 - rows_aged.at_us)
                / (spans.last_us - spans.first_us)
            ) as integer) as age_band,
            count(*) as row_count,
            avg(rows_aged.label) as label_share,
            max(spans.share) as whole_share
        from rows_aged
        cross join spans
        group by age_band

    )

    select
        age_band,
        row_count,
        label_share,
        whole_share
    from bands_counted
    where
        (label_share = 0 and row_count * whole_share >= {{ fewest_expected }})
        or (label_share = 1 and row_count * (1 - whole_share) >= {{ fewest_expected }})

{% endtest %}
