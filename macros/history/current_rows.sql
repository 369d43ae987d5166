{% macro current_rows(input, touched_by=none) -%}
    select * from (

        {{ order_history(input, touched_by) }}

    ) as ordered_history
    where _number_from_last = 1 and not _is_tombstone
{%- endmacro %}
