{% macro convert_to_kelvin(celsius) -%}
    ({{ celsius }} + 273.15)
{%- endmacro %}

{# 83.144 kJ/mol (ICH, pharmacopoeias) over the gas constant is 10,000 kelvin. #}
{% macro mean_kinetic_celsius(kelvin) -%}
    10000 / -ln(avg(exp(-10000 / {{ kelvin }}))) - 273.15
{%- endmacro %}
