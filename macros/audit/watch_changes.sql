{# Without the database's name, so that the triggers stand in a file of any name. #}
{% macro watch_changes(key, column, into) -%}
    {%- set watched = this.include(database=false) -%}
    {%- set trail = api.Relation.create(schema=into.schema, identifier=into.identifier) -%}
    {%- set events = {
        'update': 'old table as before_change new table as after_change',
        'insert': 'new table as after_change',
        'delete': 'old table as before_change',
    } -%}
    {%- set rows = {
        'update': 'before_change full join after_change using (' ~ key ~ ')',
        'insert': 'after_change',
        'delete': 'before_change',
    } -%}
    set variable changed_by = 'dbt {{ invocation_id }}';
    {%- for event in events %}
    {%- set old = 'null' if event == 'insert' else 'before_change.' ~ column -%}
    {%- set new = 'null' if event == 'delete' else 'after_change.' ~ column %}
    drop trigger if exists {{ this.identifier }}_{{ event }} on {{ watched }};
    create trigger {{ this.identifier }}_{{ event }}
    after {{ event }} on {{ watched }}
    referencing {{ events[event] }}
    for each statement
    insert into {{ trail }} by name
    select
        {{ key }},
        {{ old }} as old_{{ column }},
        {{ new }} as new_{{ column }},
        coalesce(cast(getvariable('changed_by') as varchar), current_user) as changed_by,
        (select coalesce(max(change_number), 0) from {{ trail }})
        + row_number() over (order by {{ key }}) as change_number,
        cast(now() at time zone 'UTC' as timestamp) as changed_at
    from {{ rows[event] }}
    where {{ old }} is distinct from {{ new }};
    {%- endfor %}
{%- endmacro %}
