{#
    The entities that a key leads to, each once, with the first moment at which the path was known. The arrival of a
    first load tells nothing, so its paths count as always known.
#}
{% macro select_paths(through, entity) -%}
    {%- set own = [through['from']] if through['from'] is string else through['from'] -%}
    {%- set key = through.get('key') or own -%}
    {%- set key = [key] if key is string else key -%}
    {%- set to = through.get('to') or entity -%}
    {%- set to = [to] if to is string else to -%}
    {%- set always = 'cast(-9000000000000000000 as bigint)' -%}
    select
        {%- for column in key %}
        {{ column }} as key_{{ loop.index }},
        {%- endfor %}
        {%- for column in to %}
        {{ column }} as entity_{{ loop.index }},
        {%- endfor %}
        {% if through.get('available_at') -%}
        min(
            {%- if through.get('backfill') %}
            case when {{ through.backfill }} then {{ always }} else {{ convert_to_epoch_us(through.available_at) }} end
            {%- else %}
            {{ convert_to_epoch_us(through.available_at) }}
            {%- endif %}
        )
        {%- else -%}
        {{ always }}
        {%- endif %} as path_known_us
    from {{ through.relation }}
    where
        {%- for column in to %}
        {{ 'and ' if not loop.first }}{{ column }} is not null
        {%- endfor %}
        {%- if through.get('available_at') %}
        and {{ convert_to_epoch_us(through.available_at) }} is not null
        {%- endif %}
    group by
        {%- for column in key + to %}
        {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}
