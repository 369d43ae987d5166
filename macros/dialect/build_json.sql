{% macro build_json(columns) -%}
    {{ return(adapter.dispatch('build_json')(columns)) }}
{%- endmacro %}

{% macro default__build_json(columns) -%}
    cast(json_object(
        {%- for column in columns %}
        '{{ column }}', {{ columns[column] if columns is mapping else column }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    ) as varchar)
{%- endmacro %}

{% macro spark__build_json(columns) -%}
    to_json(named_struct(
        {%- for column in columns %}
        '{{ column }}', {{ columns[column] if columns is mapping else column }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    ), map('ignoreNullFields', 'false'))
{%- endmacro %}
