{% macro create_incremental_state() -%}
    {%- set incremental_state = get_incremental_state() -%}
    create schema if not exists {{ incremental_state.without_identifier() }};
    create table if not exists {{ incremental_state }} (
        model varchar not null,
        input varchar not null,
        batch bigint not null,
        row_count bigint not null,
        load_id varchar,
        definition varchar not null,
        built_at timestamp not null
    )
{%- endmacro %}
