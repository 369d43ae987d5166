{#- The predictive probability of no event, Poisson with a Gamma posterior under Jeffreys' prior, whose shape is one half:
    a rate that is known from a few orders only is not taken for certain. -#}
{% macro compute_empty_gap_probability(recent_count, recent_exposure, gap_exposure) -%}
    case
        when {{ recent_exposure }} > 0
            then
                power(
                    {{ recent_exposure }} * 1e0 / ({{ recent_exposure }} + {{ gap_exposure }}),
                    {{ recent_count }} + 0.5e0
                )
        else 1e0
    end
{%- endmacro %}
