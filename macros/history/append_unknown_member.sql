{% macro append_unknown_member(members, columns, values={}) -%}
    {%- set unknown = {
        'is_deleted': 'false',
        'is_current': 'true',
        'valid_from': beginning_of_time(),
        'valid_to': end_of_time(),
    } -%}
    {%- do unknown.update(values) -%}
    select
        {%- for column in columns %}
        {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ members }}

    union all

    select
        {%- for column in columns %}
        {%- set default = unknown_key() if column.endswith('_key') else 'null' %}
        {{ unknown.get(column, default) }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}
