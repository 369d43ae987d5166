{% macro current_rows(input, key, affected_by=none, touches=none) -%}
    select * from (

        {{ order_changes(input, key, affected_by, touches) }}

    ) as ordered_changes
    where _number_from_last = 1 and not _is_tombstone
{%- endmacro %}
