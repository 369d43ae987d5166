{#- Exact up to nine degrees of freedom: the finite sums 26.4.4 and 26.4.5 of Abramowitz and Stegun, Handbook of
    Mathematical Functions. Beyond, the cube root of Wilson and Hilferty (1931), 26.4.17 there. -#}
{% macro compute_chi_square_tail(statistic, degrees_of_freedom) -%}
    {%- set exact_degrees = range(1, 10) -%}
    case
        when {{ degrees_of_freedom }} < 1 then null
        when {{ statistic }} <= 0 then 1e0
        {%- for degrees in exact_degrees %}
        when {{ degrees_of_freedom }} = {{ degrees }}
            then {{ expand_chi_square_sum(statistic, degrees) }}
        {%- endfor %}
        else
            0.5e0 + sign(
                2e0 / (9e0 * {{ degrees_of_freedom }})
                + {{ compute_cube_root_ratio(statistic, degrees_of_freedom) }} - 1e0
            ) * (
                {{ compute_normal_tail(
                    '((' ~ compute_cube_root_ratio(statistic, degrees_of_freedom) ~ ' - 1e0 + 2e0 / (9e0 * '
                    ~ degrees_of_freedom ~ ')) / sqrt(2e0 / (9e0 * ' ~ degrees_of_freedom ~ ')))'
                ) }} - 0.5e0
            )
    end
{%- endmacro %}

{% macro compute_cube_root_ratio(statistic, degrees_of_freedom) -%}
    power({{ statistic }} * 1e0 / {{ degrees_of_freedom }}, 1e0 / 3e0)
{%- endmacro %}

{% macro expand_chi_square_sum(statistic, degrees) -%}
    {%- set sum = namespace(term='1e0', terms=[]) -%}
    {%- if degrees % 2 == 0 -%}
        {%- for place in range(degrees // 2) -%}
            {%- if place > 0 -%}
                {%- set sum.term = sum.term ~ ' * ' ~ statistic ~ ' / ' ~ 2 * place ~ 'e0' -%}
            {%- endif -%}
            {%- set sum.terms = sum.terms + [sum.term] -%}
        {%- endfor -%}
        exp(-{{ statistic }} / 2e0) * ({{ sum.terms | join(' + ') }})
    {%- else -%}
        {%- set sum.term = 'sqrt(' ~ statistic ~ ')' -%}
        {%- for place in range((degrees - 1) // 2) -%}
            {%- if place > 0 -%}
                {%- set sum.term = sum.term ~ ' * ' ~ statistic ~ ' / ' ~ (2 * place + 1) ~ 'e0' -%}
            {%- endif -%}
            {%- set sum.terms = sum.terms + [sum.term] -%}
        {%- endfor -%}
        2e0 * ({{ compute_normal_tail('sqrt(' ~ statistic ~ ')') }})
        {%- if sum.terms %}
                + 0.797884560802865e0
                * exp(-{{ statistic }} / 2e0) * ({{ sum.terms | join(' + ') }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
