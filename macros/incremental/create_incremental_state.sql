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
    );
    create table if not exists {{ get_incremental_state('training_rows') }} (
        model varchar not null,
        row_key bigint not null,
        row_hash bigint not null
    );
    create table if not exists {{ get_incremental_state('training_inputs') }} (
        model varchar not null,
        input_number integer not null,
        part_number bigint not null,
        until_us bigint not null,
        rows_hash decimal(38, 0) not null,
        features varchar not null,
        definition varchar not null
    )
{%- endmacro %}
