{# The columns are those of the model's own contract, which dbt does not know yet while it parses. #}
{% macro read_rules(rules, key, same=[]) -%}
    {%- set columns = (model.columns or {}).keys() | list if execute else ['*'] -%}
    with own_rules as (

        {{ current_rows('rules.' ~ rules, key=key) }}

    ),

    default_rules as (

        select * from {{ ref('default_' ~ rules) }}

    ),

    default_rules_left as (

        select default_rules.*
        from default_rules
        where not exists (
            select 1
            from own_rules
            {%- for column in same %}
            {{ 'where' if loop.first else 'and' }} own_rules.{{ column }} = default_rules.{{ column }}
            {%- endfor %}
        )

    )

    select {{ columns | join(', ') }} from own_rules
    union all
    select {{ columns | join(', ') }} from default_rules_left
{%- endmacro %}
