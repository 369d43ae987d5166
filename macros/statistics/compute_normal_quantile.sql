{#- The quantiles are of 97.5 %, so that two of them bound an interval of 95 %. -#}
{% macro compute_normal_quantile() -%}
    1.959963984540054e0
{%- endmacro %}
