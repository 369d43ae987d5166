{# The changes of totals, in microseconds: change 0 of an event is that it enters, and change n that it leaves window n. #}
{% macro list_changes(events, key_count, measures, changes_us) -%}
    {%- for change_us in changes_us %}
    {{ 'union all' if not loop.first }}
    select
        {%- for number in range(1, key_count + 1) %}
        entity_{{ number }},
        {%- endfor %}
        {%- for measure in measures %}
        {%- set conditions = [measure.counts] if measure.counts else [] -%}
        {%- set conditions = conditions + (['of_' ~ measure.not_null ~ ' is not null'] if measure.not_null else []) %}
        {{ conditions | join(' and ') or 'true' }} as {{ measure.name }}_counts,
        {%- if measure.of %}
        {{ 'cast(of_' ~ measure.of ~ ' as integer)' if measure.kind == 'boolean' else 'of_' ~ measure.of }}
            as {{ measure.name }}_value,
        {%- endif %}
        {%- endfor %}
        {{ loop.index0 }} as change_number,
        {{ change_us }} as changes_us
    from {{ events }}
    {%- endfor %}
{%- endmacro %}
