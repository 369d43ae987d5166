{#
    The end of a day is seen by a run of that day or, if the last run came before, by the first run of the next day. So
    the newest unit is compared as far as it goes, and the units before it as a whole.
#}
{% macro look_at_units(at, every, model) -%}
    {%- set open_unit = begin_unit('max(' ~ at ~ ')', every) -%}
    select * from (
        {{ caller(fits_open_unit(at, every, model), true) }}
    ) as open_unit
    union all
    select * from (
        {{ caller(at ~ ' < (select ' ~ open_unit ~ ' from ' ~ model ~ ')', false) }}
    ) as closed_unit
{%- endmacro %}
