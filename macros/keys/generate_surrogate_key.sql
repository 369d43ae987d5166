{# A surrogate key is a hash. Each part carries its length, so no two lists of parts are equal. #}
{% macro generate_surrogate_key(parts) -%}
    {%- set written = [] -%}
    {%- for part in parts -%}
        {%- set text = 'cast(' ~ part ~ ' as ' ~ dbt.type_string() ~ ')' -%}
        {%- set text_length = 'cast(length(' ~ text ~ ') as ' ~ dbt.type_string() ~ ')' -%}
        {%- do written.append("coalesce(" ~ text_length ~ " || ':' || " ~ text ~ ", '-')") -%}
    {%- endfor -%}
    {{ dbt.hash(written | join(' || ')) }}
{%- endmacro %}
