{# A function stands in a file that clients attach under any name, so its SQL names no database. #}
{% macro leave_out_database(sql) -%}
    {{ return(sql | replace(adapter.quote(this.database) ~ '.', '')) }}
{%- endmacro %}
