{# Before a table is updated in place. Triggers record its changes; a file that holds none keeps the rows as they are. #}
{% macro watch_changes(key, column, into) -%}
    set variable changed_by = 'dbt {{ invocation_id }}';
    {%- if holds_triggers() %}
    {{ create_triggers(key, column, into) }}
    {%- else %}
    create or replace temporary table {{ this.identifier }}__before as
    select {{ key }}, {{ column }} from {{ this }};
    {%- endif %}
{%- endmacro %}

{# After it was updated. Without kept rows this was the first build, which is no change. #}
{% macro record_changes(key, column, into) -%}
    set variable changed_by = 'dbt {{ invocation_id }}';
    {%- if holds_triggers() %}
    {{ create_triggers(key, column, into) }}
    {%- else %}
    create temporary table if not exists {{ this.identifier }}__before as
    select {{ key }}, {{ column }} from {{ this }};
    {{ insert_changes(key, column, into, {
        'rows': this.identifier ~ '__before as before_change full join ' ~ this ~ ' as after_change using (' ~ key ~ ')',
        'old': 'before_change.' ~ column,
        'new': 'after_change.' ~ column,
    }) }};
    drop table {{ this.identifier }}__before;
    {%- endif %}
{%- endmacro %}

{# Without the database's name, so that the triggers stand in a file of any name. #}
{% macro create_triggers(key, column, into) -%}
    {%- set watched = this.include(database=false) -%}
    {%- set old, new = 'before_change.' ~ column, 'after_change.' ~ column -%}
    {%- set both = 'before_change full join after_change using (' ~ key ~ ')' -%}
    {%- set events = {
        'update': {'rows': both, 'old': old, 'new': new},
        'insert': {'rows': 'after_change', 'old': 'null', 'new': new},
        'delete': {'rows': 'before_change', 'old': old, 'new': 'null'},
    } -%}
    {%- for event, change in events.items() %}
    drop trigger if exists {{ this.identifier }}_{{ event }} on {{ watched }};
    create trigger {{ this.identifier }}_{{ event }}
    after {{ event }} on {{ watched }}
    referencing
        {{- ' old table as before_change' if change.old != 'null' }}
        {{- ' new table as after_change' if change.new != 'null' }}
    for each statement
    {{ insert_changes(key, column, into, change) }};
    {%- endfor %}
{%- endmacro %}

{% macro insert_changes(key, column, into, change) -%}
    {%- set trail = api.Relation.create(schema=into.schema, identifier=into.identifier) -%}
    insert into {{ trail }} by name
    select
        {{ key }},
        {{ change.old }} as old_{{ column }},
        {{ change.new }} as new_{{ column }},
        coalesce(cast(getvariable('changed_by') as varchar), current_user) as changed_by,
        (select coalesce(max(change_number), 0) from {{ trail }})
        + row_number() over (order by {{ key }}) as change_number,
        cast(now() at time zone 'UTC' as timestamp) as changed_at
    from {{ change.rows }}
    where {{ change.old }} is distinct from {{ change.new }}
{%- endmacro %}
