{% macro take_window_quantile(number, share) -%}
    {{ return(adapter.dispatch('take_window_quantile')(number, share)) }}
{%- endmacro %}

{% macro default__take_window_quantile(number, share) -%}
    quantile_cont({{ number }}, {{ share }})
{%- endmacro %}

{% macro spark__take_window_quantile(number, share) -%}
    percentile({{ number }}, {{ share }})
{%- endmacro %}
