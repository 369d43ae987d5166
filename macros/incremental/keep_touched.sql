{% macro keep_touched(key) -%}
    {%- if key is not none and is_incremental() -%}
    where {{ key }} in (select {{ key }} from {{ this.identifier }}__touched)
    {%- endif -%}
{%- endmacro %}

{# The clause above as a regular expression: full and incremental builds have one definition. #}
{% macro keep_touched_pattern() -%}
    {{ return('where \\w+ in \\(select \\w+ from ' ~ this.identifier ~ '__touched\\)') }}
{%- endmacro %}
