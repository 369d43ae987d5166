{# Known time in place of the source's time: build_scd2 says since when a version was true, this since when it was known. #}
{% macro build_known_versions(history, key, attributes) -%}
    {%- set compared = ['is_deleted'] + attributes -%}
    {%- set key_columns = ([key] if key is string else key) | join(', ') -%}
    with known_states as (

        {{ keep_known_states(history, key) }}

    ),

    states_compared as (

        select
            *,
            row_number() over states_of_key = 1
            or {{ differs_from_last(compared, over='states_of_key') | indent(8) }}
            as is_a_change
        from known_states
        window states_of_key as (partition by {{ key_columns }} order by known_from)

    )

    select
        {{ key_columns }},
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        is_deleted,
        lead(known_from) over states_of_key is null as is_current,
        known_from as valid_from,
        lead(known_from, 1, {{ end_of_time() }}) over states_of_key as valid_to
    from states_compared
    where is_a_change
    window states_of_key as (partition by {{ key_columns }} order by known_from)
{%- endmacro %}
