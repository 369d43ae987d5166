{% macro convert_to_epoch_us(timestamp) -%}
    {{ return(adapter.dispatch('convert_to_epoch_us')(timestamp)) }}
{%- endmacro %}

{% macro default__convert_to_epoch_us(timestamp) -%}
    epoch_us({{ timestamp }})
{%- endmacro %}

{% macro spark__convert_to_epoch_us(timestamp) -%}
    unix_micros({{ timestamp }})
{%- endmacro %}
