{# The limits of anomalies, each of which a test may set for itself. A misspelt one would have no effect, and no sign. #}
{% macro get_limits(given={}, warn_score=4, warn_effect=0.2, error_effect=0.5) -%}
    {%- set limits = {
        'warn_score': warn_score, 'error_score': 2 * warn_score, 'warn_effect': warn_effect,
        'error_effect': error_effect, 'stuck_score': 5
    } -%}
    {%- for name in given if name not in limits -%}
        {%- do exceptions.raise_compiler_error(
            'An anomaly has no limit ' ~ name ~ '. There are ' ~ (limits.keys() | join(', ')) ~ '.'
        ) -%}
    {%- endfor -%}
    {%- do limits.update(given) -%}
    {{ return(limits) }}
{%- endmacro %}
