{% macro take_median(values) -%}
    {{ return(adapter.dispatch('take_median')(values)) }}
{%- endmacro %}

{% macro default__take_median(values) -%}
    list_median([{{ values | join(', ') }}])
{%- endmacro %}

{% macro spark__take_median(values) -%}
    transform(
        array(array_sort(filter(array({{ values | join(', ') }}), value -> value is not null))),
        known -> (
            get(known, (size(known) - 1) div 2) + get(known, size(known) div 2)
        ) / 2
    )[0]
{%- endmacro %}
