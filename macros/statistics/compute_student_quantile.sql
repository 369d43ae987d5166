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
