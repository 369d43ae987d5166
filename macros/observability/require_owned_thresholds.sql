{# Without a date, a cause and an owner a limit is not changed by anybody, and its alert has no addressee. #}
{% macro require_owned_thresholds() -%}
    {%- if execute and graph.nodes -%}
        {%- for test in graph.nodes.values() if test.resource_type == 'test' and test.config.fail_calc == level_of_findings() -%}
            {%- set tolerance = test.config.meta.get('tolerance', {}) -%}
            {%- for part in ['owner', 'since', 'cause'] if not tolerance.get(part) -%}
                {%- do exceptions.raise_compiler_error(
                    'The data test ' ~ test.name ~ ' has limits without ' ~ part ~ ': config.meta.tolerance needs '
                    ~ 'owner, since and cause.'
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro level_of_findings() -%}
    coalesce(max(level), 0)
{%- endmacro %}
