{# A misspelt name would have no effect, and no sign. #}
{% macro require_known_severities() -%}
    {%- if execute and graph.nodes -%}
        {%- set known = graph.nodes.values() | selectattr('resource_type', 'equalto', 'test') | map(attribute='name') | list -%}
        {%- for name in var('severities') if name not in known -%}
            {%- do exceptions.raise_compiler_error(
                'The var severities names the data test ' ~ name ~ ', which does not exist.'
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
