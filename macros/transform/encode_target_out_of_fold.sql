{#
    What the other folds say is all that is said less the fold's own. Labels are counted from the
    mean of all, so that the difference of squares keeps its digits.
#}
{% macro encode_target_out_of_fold(
    relation, key, columns, target, fold_by=none, fold_count=5, smoothing='auto'
) -%}
    {%- set key = [key] if key is string else key -%}
    with rows_folded as (

        select
            {%- for column in key %}
            {{ column }},
            {%- endfor %}
            {%- for column in columns %}
            {{ name_category(column) }} as {{ column }}__category,
            {%- endfor %}
            {{ assign_fold(fold_by or key, fold_count) }} as fold,
            {{ nan_to_null(target) }} as label
        from {{ relation }}

    ),

    labels_centred as (

        select
            *,
            label - (select avg(label) from rows_folded) as centred_label
        from rows_folded

    )

    {%- for column in ['all_rows'] + columns %}
    {%- set by = 'fold' if loop.first else column ~ '__category, fold' %}
    {%- set group = '' if loop.first else 'partition by ' ~ column ~ '__category' %}
    {%- set elsewhere = 'over (' ~ group ~ ')' %},

    {{ column }}__summed as (

        select
            {{ by }},
            count(centred_label) as label_count,
            coalesce(sum(centred_label), 0) as label_sum,
            coalesce(sum(centred_label * centred_label), 0) as label_squares
        from labels_centred
        group by {{ by }}

    ),

    {{ column }}__counted_elsewhere as (

        select
            {{ by }},
            sum(label_count) {{ elsewhere }} - label_count as label_count,
            sum(label_sum) {{ elsewhere }} - label_sum as label_sum,
            sum(label_squares) {{ elsewhere }} - label_squares as label_squares
        from {{ column }}__summed

    ),

    {{ column }}__averaged_elsewhere as (

        select
            {{ by }},
            cast(label_count as double) as label_count,
            label_sum / nullif(label_count, 0) as mean_label,
            greatest(
                label_squares / nullif(label_count, 0)
                - power(label_sum / nullif(label_count, 0), 2),
                0
            ) as variance_of_label
        from {{ column }}__counted_elsewhere

    )
    {%- endfor %}

    select
        {%- for column in key %}
        labels_centred.{{ column }},
        {%- endfor %}
        labels_centred.fold
        {%- for column in columns %},
        (select avg(label) from rows_folded)
        + {{ smooth_mean(
            column ~ '__averaged_elsewhere.label_count',
            column ~ '__averaged_elsewhere.mean_label',
            column ~ '__averaged_elsewhere.variance_of_label',
            'all_rows__averaged_elsewhere.mean_label',
            'all_rows__averaged_elsewhere.variance_of_label',
            smoothing
        ) }} as {{ column }}_target
        {%- endfor %}
    from labels_centred
    inner join all_rows__averaged_elsewhere
        on labels_centred.fold = all_rows__averaged_elsewhere.fold
    {%- for column in columns %}
    inner join {{ column }}__averaged_elsewhere
        on
            labels_centred.fold = {{ column }}__averaged_elsewhere.fold
            and labels_centred.{{ column }}__category
            = {{ column }}__averaged_elsewhere.{{ column }}__category
    {%- endfor %}
{%- endmacro %}
