{# Whether a type is decimal, integer, boolean, double or other, which decides how it is summed. #}
{% macro class_number(data_type) -%}
    {%- set name = (data_type or '').split('(')[0].strip() -%}
    {%- if name in ['decimal', 'numeric'] -%}
        {{ return('decimal') }}
    {%- elif name in [
        'tinyint', 'smallint', 'integer', 'int', 'bigint', 'utinyint', 'usmallint', 'uinteger', 'ubigint',
    ] -%}
        {{ return('integer') }}
    {%- elif name in ['boolean', 'bool'] -%}
        {{ return('boolean') }}
    {%- elif name in ['double', 'float', 'real'] -%}
        {{ return('double') }}
    {%- else -%}
        {{ return('other') }}
    {%- endif -%}
{%- endmacro %}
