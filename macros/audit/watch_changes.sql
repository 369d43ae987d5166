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
    {{ insert_changes(key, column, into, 'build') }};
    drop table {{ this.identifier }}__before;
    {%- endif %}
{%- endmacro %}

{# Without the database's name, so that the triggers stand in a file of any name. #}
{% macro create_triggers(key, column, into) -%}
    {%- set watched = this.include(database=false) -%}
    {%- set tables = {
        'update': 'old table as before_change new table as after_change',
        'insert': 'new table as after_change',
        'delete': 'old table as before_change',
    } -%}
    {%- for event in tables %}
    drop trigger if exists {{ this.identifier }}_{{ event }} on {{ watched }};
    create trigger {{ this.identifier }}_{{ event }}
    after {{ event }} on {{ watched }}
    referencing {{ tables[event] }}
    for each statement
    {{ insert_changes(key, column, into, event) }};
    {%- endfor %}
{%- endmacro %}

{% macro insert_changes(key, column, into, event) -%}
    {%- set trail = api.Relation.create(schema=into.schema, identifier=into.identifier) -%}
    {%- set same_key = ' using (' ~ key ~ ')' -%}
    {%- set rows = {
        'update': 'before_change full join after_change' ~ same_key,
        'insert': 'after_change',
        'delete': 'before_change',
        'build': this.identifier ~ '__before as before_change full join ' ~ this ~ ' as after_change' ~ same_key,
    } -%}
    {%- set old = 'null' if event == 'insert' else 'before_change.' ~ column -%}
    {%- set new = 'null' if event == 'delete' else 'after_change.' ~ column -%}
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
    where {{ old }} is distinct from {{ new }}
{%- endmacro %}
