{% test has_allowed_features(model, allow={}) %}

    {%- set columns = get_training_columns() %}
    {%- set findings = find_refused_features(columns.node, columns.features, allow) if execute else [] %}

    select
        feature,
        finding
    from (
        values ('', '')
        {%- for feature, finding in findings %},
        ('{{ feature }}', '{{ finding }}')
        {%- endfor %}
    ) as findings (feature, finding)
    where feature <> ''

{% endtest %}
