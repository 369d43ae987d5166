{% macro fit_target_encoder(relation, columns, target, smoothing='auto', where='true') -%}
    with labels_listed as (

        {{ list_categories(relation, columns, where, label=nan_to_null(target)) }}

    ),

    labels_averaged as (

        select
            _column_name as column_name,
            _category as category,
            count(*) as row_count,
            avg(_label) as mean_label,
            var_pop(_label) as variance_of_label
        from labels_listed
        where _label is not null
        group by _column_name, _category

    ),

    all_labels_averaged as (

        select
            coalesce(max(row_count), 0) as row_count,
            max(mean_label) as mean_label,
            max(variance_of_label) as variance_of_label
        from labels_averaged
        where column_name is null

    )

    select
        labels_averaged.column_name,
        labels_averaged.category,
        false as is_default,
        {{ smooth_mean(
            'labels_averaged.row_count', 'labels_averaged.mean_label', 'labels_averaged.variance_of_label',
            'all_labels_averaged.mean_label', 'all_labels_averaged.variance_of_label', smoothing
        ) }} as encoding,
        labels_averaged.row_count
    from labels_averaged
    cross join all_labels_averaged
    where labels_averaged.column_name is not null

    {% for column in columns -%}
    union all

    select
        '{{ column }}' as column_name,
        cast(null as {{ dbt.type_string() }}) as category,
        true as is_default,
        mean_label as encoding,
        row_count
    from all_labels_averaged
    {% endfor %}
{%- endmacro %}
