{% macro record_training_rows() -%}
    {%- if execute and not flags.EMPTY -%}
    {%- set name = this.identifier -%}
    {%- set training_rows, training_inputs = get_incremental_state('training_rows'), get_incremental_state('training_inputs') -%}
    delete from {{ training_rows }}
    where model = '{{ name }}' and row_key in (select row_key from {{ name }}__affected);

    insert into {{ training_rows }}
    select
        '{{ name }}' as model,
        row_key,
        row_hash
    from {{ name }}__spine
    where row_key in (select row_key from {{ name }}__affected);

    delete from {{ training_inputs }} where model = '{{ name }}';

    insert into {{ training_inputs }}
    select
        '{{ name }}' as model,
        input_number,
        part_number,
        coalesce((select max(moment_us) from {{ name }}__spine), 0) as until_us,  -- without rows nothing was known
        now_hash as rows_hash,
        '{{ read_training_set().sql }}' as features,
        '{{ get_definition() }}' as definition
    from {{ name }}__inputs
    {%- endif -%}
{%- endmacro %}
