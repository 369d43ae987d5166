{# A duration that ends at the row is negative if what it begins with came after the row. #}
{% test has_no_future_rows(model, until=none) %}

    {%- set columns = get_training_columns() %}
    {%- set rules = {
        'its label is unknown': columns.label ~ ' is null or ' ~ columns.known_at ~ ' is null',
        'its label was known before its time': columns.known_at ~ ' < ' ~ columns.time,
    } %}
    {%- if columns.horizon %}
        {%- do rules.update({
            'its label was known before the horizon of ' ~ columns.horizon ~ ' was over':
                convert_to_epoch_us(columns.known_at) ~ ' < ' ~ convert_to_epoch_us(columns.time) ~ ' + '
                ~ convert_duration_to_us(columns.horizon)
        }) %}
    {%- endif %}
    {%- if until %}
        {%- do rules.update({
            'its label is known later than the data': columns.known_at ~ ' > (' ~ until ~ ')'
        }) %}
    {%- endif %}
    {%- for feature, data_type in columns.features.items() %}
        {%- if data_type.startswith(('date', 'time')) %}
            {%- do rules.update({feature ~ ' is later than the row': feature ~ ' > ' ~ columns.time}) %}
        {%- elif modules.re.search('(days|hours|minutes|seconds)_since_', feature) %}
            {%- do rules.update({feature ~ ' is negative: it knows the future': feature ~ ' < 0'}) %}
        {%- endif %}
    {%- endfor %}

    with rows_of_the_future as (

        select *
        from {{ model }}
        where
            {%- for rule in rules.values() %}
            {{ 'or ' if not loop.first }}({{ rule }})
            {%- endfor %}

    )

    {%- for finding, rule in rules.items() %}
    {{ 'union all' if not loop.first }}
    select
        {{ columns.key | join(', ') }},
        '{{ finding }}' as finding
    from rows_of_the_future
    where {{ rule }}
    {%- endfor %}

{% endtest %}
