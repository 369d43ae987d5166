{# Each step is a temporary table: as one statement with steps of its own it does not end on DuckDB 2.0. #}
{% macro delete_changed_rows() -%}
    {%- if execute -%}
    {%- set name, key = this.identifier, model.config.meta.key -%}
    {%- set training_rows, training_inputs = get_incremental_state('training_rows'), get_incremental_state('training_inputs') -%}
    {%- if not is_incremental() %}
    delete from {{ training_rows }} where model = '{{ name }}';
    delete from {{ training_inputs }} where model = '{{ name }}';
    {%- endif %}
    {%- if flags.EMPTY %}
    create or replace temporary table {{ name }}__affected as
    select row_key from {{ training_rows }} where false
    {%- else %}
    {%- set described = read_training_set() -%}
    {%- set groups = relate_features(described.features) -%}
    {%- set noted = "from " ~ training_inputs ~ " where model = '" ~ name ~ "' and definition = '" ~ get_definition() ~ "'" %}
    create or replace temporary table {{ name }}__spine as
    select
        {{ hash_texts(key) }} as row_key,
        {{ hash_row('spine_rows') }} as row_hash,
        {%- for group in groups %}
        {%- set entity = [] -%}
        {%- for column in group.entity -%}
            {%- do entity.append(described.entity.get(column, column)) -%}
        {%- endfor %}
        {{ number_part(entity) }} as part_{{ loop.index }},
        {%- endfor %}
        {{ convert_to_epoch_us('cast(' ~ described.time ~ ' as timestamp)') }} as moment_us
    from (

        {{ described.spine_sql }}

    ) as spine_rows;

    create or replace temporary table {{ name }}__inputs as
    {{ list_training_inputs(
        groups, 'select max(until_us) ' ~ noted, 'select max(moment_us) from ' ~ name ~ '__spine'
    ) }};

    create or replace temporary table {{ name }}__noted as
    select row_key, row_hash
    from {{ training_rows }}
    where
        model = '{{ name }}'
        and (select count(*) {{ noted }}) > 0
        {%- if is_incremental() %}
        and (select count(*) from {{ training_rows }} where model = '{{ name }}') = (select count(*) from {{ this }})
        {%- endif %};

    create or replace temporary table {{ name }}__changed as
    select
        coalesce(inputs.input_number, inputs_noted.input_number) as input_number,
        coalesce(inputs.part_number, inputs_noted.part_number) as part_number
    from {{ name }}__inputs as inputs
    full join (select input_number, part_number, rows_hash {{ noted }}) as inputs_noted
        on
            inputs.input_number = inputs_noted.input_number
            and inputs.part_number = inputs_noted.part_number
    where coalesce(inputs.noted_hash, 0) <> coalesce(inputs_noted.rows_hash, 0);

    create or replace temporary table {{ name }}__affected as
    select spine.row_key
    from {{ name }}__spine as spine
    left join {{ name }}__noted as noted on spine.row_key = noted.row_key and spine.row_hash = noted.row_hash
    where noted.row_key is null
    {%- for group in groups %}

    union

    select spine.row_key
    from {{ name }}__spine as spine
    inner join {{ name }}__changed as changed
        on changed.input_number = {{ loop.index }} and spine.part_{{ loop.index }} = changed.part_number
    {%- endfor %}

    union

    select noted.row_key
    from {{ name }}__noted as noted
    left join {{ name }}__spine as spine on noted.row_key = spine.row_key
    where spine.row_key is null
    {%- if is_incremental() %}

    union

    select {{ hash_texts(key) }} as row_key
    from {{ this }}
    where (select count(*) from {{ name }}__noted) = 0;

    delete from {{ this }} where {{ hash_texts(key) }} in (select row_key from {{ name }}__affected)
    {%- endif -%}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
