{# 0, 1 to warn, 2 for an error. A value must be both improbable and so different that somebody would act on it. #}
{% macro class_anomaly(score, effect, history_count, warm_up, limits) -%}
    case
        when {{ history_count }} < {{ warm_up }} or {{ score }} is null then 0
        when
            abs({{ score }}) >= {{ limits.error_score }}
            and abs({{ effect }}) >= {{ limits.error_effect }}
            then 2
        when
            abs({{ score }}) >= {{ limits.warn_score }}
            and abs({{ effect }}) >= {{ limits.warn_effect }}
            then 1
        else 0
    end
{%- endmacro %}
