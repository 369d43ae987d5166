{% macro compute_wilson_bound(successes, trials, sign) -%}
    {%- set squared = '3.841458820694124e0' -%}
    (
        {{ successes }} + {{ squared }} / 2e0
        {{ sign }} {{ compute_normal_quantile() }} * sqrt(
            {{ successes }} * 1e0 * ({{ trials }} - {{ successes }}) / nullif({{ trials }}, 0)
            + {{ squared }} / 4e0
        )
    ) / ({{ trials }} + {{ squared }})
{%- endmacro %}
