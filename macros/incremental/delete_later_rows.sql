{% macro delete_later_rows(events, where, key, columns, groups, at, lookup) -%}
    {%- set incremental_state = get_incremental_state() -%}
    {%- set affected = this.identifier ~ '__affected' -%}
    {%- if not is_incremental() -%}
    delete from {{ incremental_state }} where model = '{{ this.identifier }}'
    {%- elif flags.EMPTY -%}
    create or replace temporary table {{ affected }} as
    select {{ ([key] + groups) | join(', ') }} from {{ this }} where false
    {%- else -%}
    create or replace temporary table {{ affected }} as
    with events as (

        select {{ columns | join(', ') }}
        from {{ ref(events) }}
        where {{ where }}

    ),

    rows_of_this_definition as (

        select {{ columns | join(', ') }}
        from {{ this }}
        where (
            select count(*) from {{ incremental_state }}
            where model = '{{ this.identifier }}' and definition = '{{ get_definition() }}'
        ) > 0

    ),

    events_compared as (

        select
            {%- for column in [key, at] + groups %}
            events.{{ column }},
            built.{{ column }} as built_{{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from events
        full join rows_of_this_definition as built on events.{{ key }} = built.{{ key }}
        where
            {%- for column in columns %}
            {{ 'or ' if not loop.first }}events.{{ column }} is distinct from built.{{ column }}
            {%- endfor %}

    ),

    events_changed as (

        select {{ ([key, at] + groups) | join(', ') }}
        from events_compared
        where {{ key }} is not null

        union all

        select {{ ([key, at] + groups) | map('replace', '', 'built_', 1) | join(', ') }}
        from events_compared
        where built_{{ key }} is not null

    ),

    affected_keys as (

        select {{ key }} from events_changed
        {%- for group in groups %}

        union

        select events.{{ key }}
        from events
        inner join (
            select {{ group }}, min({{ at }}) as {{ at }}
            from events_changed
            group by {{ group }}
        ) as changed on events.{{ group }} = changed.{{ group }} and events.{{ at }} >= changed.{{ at }}
        {%- endfor %}

        union

        select built.{{ key }}
        from {{ this }} as built
        left join {{ ref(lookup.relation) }} as looked_up
            on
            {%- for column, looked_up_column in lookup.join_on.items() %}
            {{ 'and ' if not loop.first }}built.{{ column }} = looked_up.{{ looked_up_column }}
            {%- endfor %}
        left join events on built.{{ key }} = events.{{ key }}
        where
            events.{{ key }} is null
            {%- for column in lookup.columns %}
            or built.{{ column }} is distinct from looked_up.{{ column }}
            {%- endfor %}

    )

    select
        affected_keys.{{ key }}
        {%- for group in groups %},
        events.{{ group }}
        {%- endfor %}
    from affected_keys
    left join events on affected_keys.{{ key }} = events.{{ key }};

    delete from {{ this }} where {{ key }} in (select {{ key }} from {{ affected }})
    {%- endif -%}
{%- endmacro %}
