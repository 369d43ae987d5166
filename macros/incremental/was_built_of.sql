{# Whether the rows that stand were built of the same features: then few rows change, and each is joined by itself. #}
{% macro was_built_of(described) -%}
    {%- set counted -%}
        select count(*) from {{ get_incremental_state('training_inputs') }}
        where model = '{{ this.identifier }}' and features = '{{ described.sql }}'
    {%- endset -%}
    {{ return(run_query(counted).rows[0][0] > 0) }}
{%- endmacro %}
