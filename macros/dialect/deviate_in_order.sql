{% macro deviate_in_order(number, order_by, condition='true', of='stddev_samp') -%}
    {{ return(adapter.dispatch('deviate_in_order')(number, order_by, condition, of)) }}
{%- endmacro %}

{% macro default__deviate_in_order(number, order_by, condition='true', of='stddev_samp') -%}
    {{ of }}(cast({{ number }} as double) order by {{ order_by | join(', ') }})
        filter (where {{ condition }})
{%- endmacro %}

{# Spark adds in the order in which rows arrive; the last digits may differ. #}
{% macro spark__deviate_in_order(number, order_by, condition='true', of='stddev_samp') -%}
    {{ of }}(cast({{ number }} as double)) filter (where {{ condition }})
{%- endmacro %}
