{% macro leave_pair_out(sharing_count, customer_count) -%}
    (({{ sharing_count }} - 1) / greatest({{ customer_count }} - 1, 1))
{%- endmacro %}
