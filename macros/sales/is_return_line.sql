{#
    A minus line beside sold lines of a cancelled order books the cancellation: nothing was sent back. A cancelled order
    of minus lines alone is a credit note for another order.
#}
{% macro is_return_line(quantity, is_cancelled, is_in_sold_order) -%}
    {{ quantity }} < 0 and not ({{ is_cancelled }} and {{ is_in_sold_order }})
{%- endmacro %}
