{#
    The end of a test of anomalies: its rows are findings with a level, and the highest level decides. dbt compares that
    level, so that a large effect is an error where the test's severity allows it, and a small one is a warning.
#}
{% macro report_anomalies(classed, columns) -%}
    {{ config(fail_calc=level_of_findings(), warn_if='>= 1', error_if='>= 2') }}
    select
        {{ columns | join(', ') }},
        level,
        finding
    from {{ classed }}
    where level > 0
{%- endmacro %}
