{# Rounded, since threads add up doubles in any order: a rebuild must give the same rows. #}
{% macro summarise_sensor(quantity) -%}
    round(avg(cleaned_{{ quantity }}), 4) as mean_{{ quantity }},
    min(cleaned_{{ quantity }}) as min_{{ quantity }},
    max(cleaned_{{ quantity }}) as max_{{ quantity }},
    round(avg({{ quantity }}), 4) as raw_mean_{{ quantity }},
    count(case when is_{{ quantity }}_imputed then 1 end) as imputed_{{ quantity }}_count,
    count(case when {{ quantity }}_finding = 'stuck' then 1 end) as stuck_{{ quantity }}_count,
    count(case when {{ quantity }}_finding like 'impossible%' then 1 end)
        as impossible_{{ quantity }}_count
{%- endmacro %}
