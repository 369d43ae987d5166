{% macro convert_to_kelvin(celsius) -%}
    ({{ celsius }} + 273.15)
{%- endmacro %}

{#
    83.144 kJ/mol (ICH, pharmacopoeias) over the gas constant is 10,000 kelvin. Near absolute zero the
    sum is too small for a number, and has no logarithm.
#}
{% macro mean_kinetic_celsius(kelvin, weight='1') -%}
    10000 / -ln(
        nullif(
            sum(case when {{ kelvin }} > 0 then exp(-10000 / {{ kelvin }}) * {{ weight }} end)
            / sum(case when {{ kelvin }} > 0 then {{ weight }} end),
            0
        )
    ) - 273.15
{%- endmacro %}
