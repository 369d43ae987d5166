{% macro take_quantiles(number, shares) -%}
    {{ return(adapter.dispatch('take_quantiles')(number, shares)) }}
{%- endmacro %}

{% macro default__take_quantiles(number, shares) -%}
    quantile_cont({{ number }}, [{{ shares | join(', ') }}])
{%- endmacro %}

{% macro spark__take_quantiles(number, shares) -%}
    percentile({{ number }}, array({{ shares | join(', ') }}))
{%- endmacro %}
