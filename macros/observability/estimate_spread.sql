{# Both estimates are the standard deviation of normal residuals; the second one sees that the tails are longer. #}
{% macro estimate_spread(residual, over) -%}
    greatest(
        1.4826 * {{ take_window_quantile('abs(' ~ residual ~ ')', 0.5) }} over {{ over }},
        {{ take_window_quantile('abs(' ~ residual ~ ')', 0.95) }} over {{ over }} / 1.96
    )
{%- endmacro %}
