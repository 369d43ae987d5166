{# dbt finds an incremental strategy by this name: incremental_strategy='update_in_place'. #}
{% macro get_incremental_update_in_place_sql(arg_dict) -%}
    {%- set target, source, key = arg_dict.target_relation, arg_dict.temp_relation, arg_dict.unique_key -%}
    {%- set columns = arg_dict.dest_columns | map(attribute='name') | list -%}
    {%- set values = columns | reject('equalto', key) | list -%}
    update {{ target }} as standing
    set
        {%- for column in values %}
        {{ column }} = source.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source }} as source
    where
        standing.{{ key }} = source.{{ key }}
        and (
            {%- for column in values %}
            {{ 'or ' if not loop.first }}standing.{{ column }} is distinct from source.{{ column }}
            {%- endfor %}
        );

    delete from {{ target }} where {{ key }} not in (select {{ key }} from {{ source }});

    insert into {{ target }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ source }}
    where {{ key }} not in (select {{ key }} from {{ target }})
{%- endmacro %}
