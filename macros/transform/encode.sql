{# Names a category so that null is one too, and equal names are equal categories: '=web', '-'. #}
{% macro name_category(column) -%}
    coalesce('=' || cast({{ column }} as {{ dbt.type_string() }}), '-')
{%- endmacro %}

{# All columns in one scan, each row once a column, and once more, without one, for all rows. #}
{% macro list_categories(relation, columns, where='true', label='1') -%}
    select
        columns_named._column_name,
        case columns_named._column_name
            {%- for column in columns %}
            when '{{ column }}' then cast({{ column }} as {{ dbt.type_string() }})
            {%- endfor %}
        end as _category,
        {{ label }} as _label
    from {{ relation }}
    cross join (
        {%- for column in columns %}
        select '{{ column }}' as _column_name
        union all
        {%- endfor %}
        select null as _column_name
    ) as columns_named
    where {{ where }}
{%- endmacro %}

{% macro fit_categories(relation, columns, where='true', minimum_count=1) -%}
    with categories_listed as (

        {{ list_categories(relation, columns, where) }}

    ),

    categories_counted as (

        select
            _column_name as column_name,
            _category as category,
            count(*) as row_count,
            cast(count(*) as double) / sum(count(*)) over (partition by _column_name) as share
        from categories_listed
        where _column_name is not null and _category is not null
        group by _column_name, _category

    )

    select
        column_name,
        category,
        row_number() over (
            partition by column_name
            order by category
        ) as category_number,
        row_count,
        share
    from categories_counted
    where row_count >= {{ minimum_count }}
{%- endmacro %}

{% macro encode_one_hot(column, categories) -%}
    {%- set known -%}
        (
            select {{ collect_sorted('category') }} from {{ categories }}
            where column_name = '{{ column.split('.') | last }}'
        )
    {%- endset -%}
    {{ change_elements(
        known, 'case when element = cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ ') then 1 else 0 end'
    ) }}
{%- endmacro %}

{# The names within are such that no column of the outer query is taken for one of the parameters'. #}
{% macro find_category(value, column, parameters, where='true') -%}
    (
        select max(fitted.fitted_value)
        from (
            select
                {{ value }} as fitted_value,
                {{ name_category('category') }} as fitted_category
            from {{ parameters }}
            where column_name = '{{ column.split('.') | last }}' and {{ where }}
        ) as fitted
        where fitted.fitted_category = {{ name_category(column) }}
    )
{%- endmacro %}

{% macro encode_frequency(column, categories) -%}
    case
        when {{ column }} is not null
            then coalesce({{ find_category('share', column, categories) }}, 0)
    end
{%- endmacro %}

{# As scikit-learn's TargetEncoder: towards the mean of all by the spread within, or by a number of rows. #}
{% macro smooth_mean(row_count, mean, variance, mean_of_all, variance_of_all, smoothing) -%}
    {%- if smoothing == 'auto' -%}
    {{ mean_of_all }} + coalesce(
        ({{ mean }} - {{ mean_of_all }}) * {{ variance_of_all }} * {{ row_count }}
        / nullif({{ variance_of_all }} * {{ row_count }} + {{ variance }}, 0),
        0
    )
    {%- else -%}
    coalesce(
        ({{ row_count }} * {{ mean }} + {{ smoothing }} * {{ mean_of_all }})
        / nullif({{ row_count }} + {{ smoothing }}, 0),
        {{ mean_of_all }}
    )
    {%- endif -%}
{%- endmacro %}

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

{% macro encode_target(column, encodings) -%}
    coalesce(
        {{ find_category('encoding', column, encodings, where='not is_default') }},
        (
            select encoding from {{ encodings }}
            where column_name = '{{ column.split('.') | last }}' and is_default
        )
    )
{%- endmacro %}

{% macro assign_fold(key, fold_count) -%}
    {%- set key = [key] if key is string else key -%}
    mod(
        {{ convert_hex_to_number('substring(' ~ generate_surrogate_key(key) ~ ', 1, 8)') }},
        {{ fold_count }}
    )
{%- endmacro %}

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
    {%- set elsewhere = 'over ()' if loop.first else 'over (partition by ' ~ column ~ '__category)' %},

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
    inner join all_rows__averaged_elsewhere on labels_centred.fold = all_rows__averaged_elsewhere.fold
    {%- for column in columns %}
    inner join {{ column }}__averaged_elsewhere
        on
            labels_centred.fold = {{ column }}__averaged_elsewhere.fold
            and labels_centred.{{ column }}__category = {{ column }}__averaged_elsewhere.{{ column }}__category
    {%- endfor %}
{%- endmacro %}
