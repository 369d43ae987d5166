{#- The quantiles are of 97.5 %, so that two of them bound an interval of 95 %. -#}
{% macro compute_normal_quantile() -%}
    1.959963984540054e0
{%- endmacro %}

{#- The expansion 26.7.5 of Abramowitz and Stegun about the normal quantile, with its four terms worked out. -#}
{% macro compute_student_quantile(degrees_of_freedom) -%}
    case
        when {{ degrees_of_freedom }} >= 3
            then
                {{ compute_normal_quantile() }}
                + 2.372271230298562e0 / {{ degrees_of_freedom }}
                + 2.822498615739611e0 / power({{ degrees_of_freedom }}, 2)
                + 2.555849679507722e0 / power({{ degrees_of_freedom }}, 3)
                + 1.589534053393823e0 / power({{ degrees_of_freedom }}, 4)
    end
{%- endmacro %}

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
