{#
    The rank AUC of each feature alone. Rows without a value have the lowest rank, so a feature that is only known after
    one of the two outcomes shows too. A text counts as the share of its category. A number is a positive label above
    the median, of classes the most common one.
#}
{% test predicts_too_well(model, limit=0.95, allow={}, fewest_rows=30, sample=20000) %}

    {%- set columns = get_training_columns() %}
    {%- set features = columns.features.keys() | reject('in', allow) | list %}

    with rows_drawn as (

        select *
        from {{ model }}
        where
            {{ columns.label }} is not null
            and {{ assign_fold(columns.key, 1000000) }}
            <= (select 1000000.0 * {{ sample }} / greatest(count(*), 1) from {{ model }})

    ),

    labels_split as (

        select
            *,
            {% if columns.label_type == 'boolean' -%}
            {{ columns.label }}
            {%- elif columns.label_type == 'varchar' -%}
            {{ columns.label }} = (select mode({{ columns.label }}) from rows_drawn)
            {%- else -%}
            {{ columns.label }} > (select median({{ columns.label }}) from rows_drawn)
            {%- endif %} as is_positive_label
        from rows_drawn

    ),

    {%- for feature in features %}
    {%- if columns.features[feature] == 'varchar' %}

    categories_of_{{ feature }} as (

        select
            {{ feature }},
            avg(case when is_positive_label then 1.0e0 else 0.0e0 end) as feature_value
        from labels_split
        where {{ feature }} is not null
        group by {{ feature }}
        having count(*) >= {{ fewest_rows }}

    ),
    {%- endif %}
    {%- endfor %}

    values_listed as (

        {%- for feature in features %}
        {{ 'union all' if not loop.first }}
        select
            '{{ feature }}' as feature,
            {% if columns.features[feature] == 'varchar' -%}
            categories_of_{{ feature }}.feature_value,
            {%- else -%}
            cast(cast(labels_split.{{ feature }} as {{ 'integer' if columns.features[feature] == 'boolean' else 'double' }}) as double) as feature_value,
            {%- endif %}
            labels_split.is_positive_label
        from labels_split
        {%- if columns.features[feature] == 'varchar' %}
        left join categories_of_{{ feature }}
            on labels_split.{{ feature }} = categories_of_{{ feature }}.{{ feature }}
        {%- endif %}
        {%- else %}
        select
            '' as feature,
            0.0e0 as feature_value,
            is_positive_label
        from labels_split
        {%- endfor %}

    ),

    values_counted as (

        select
            feature,
            coalesce(feature_value, cast('-infinity' as double)) as feature_value,
            count(case when is_positive_label then 1 end) as positive_count,
            count(case when not is_positive_label then 1 end) as negative_count
        from values_listed
        group by feature, coalesce(feature_value, cast('-infinity' as double))

    ),

    values_ranked as (

        select
            *,
            coalesce(sum(negative_count) over (
                partition by feature order by feature_value
                rows between unbounded preceding and 1 preceding
            ), 0) as lower_count
        from values_counted

    ),

    features_measured as (

        select
            feature,
            sum(positive_count) as positive_count,
            sum(negative_count) as negative_count,
            sum(positive_count * (lower_count + negative_count / 2.0e0))
            / nullif(cast(sum(positive_count) as double) * sum(negative_count), 0) as auc
        from values_ranked
        group by feature

    )

    select
        feature,
        positive_count,
        negative_count,
        greatest(auc, 1 - auc) as auc
    from features_measured
    where
        greatest(auc, 1 - auc) >= {{ limit }}
        and positive_count >= {{ fewest_rows }}
        and negative_count >= {{ fewest_rows }}

{% endtest %}
