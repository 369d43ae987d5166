{# The state that was valid at each moment. Of overlapping states the last to begin counts: one row per moment. #}
{% macro find_states(moments, group, values) -%}
    {%- set relation = group.relation -%}
    with states_keyed as (

        select
            {%- for column in group.entity %}
            {{ column }} as entity_{{ loop.index }},
            {%- endfor %}
            {%- for column in values | map(attribute='of') | unique %}
            {{ column }} as of_{{ column }},
            {%- endfor %}
            {{ group.valid_from }} as state_from,
            {{ group.valid_to }} as state_to
        from {{ relation }}
        where {{ group.where or 'true' }}

    ),

    states_ranked as (

        select
            {%- for column in group.entity %}
            moments.entity_{{ loop.index }},
            {%- endfor %}
            moments.moment_us,
            {%- for column in values | map(attribute='of') | unique %}
            states.of_{{ column }},
            {%- endfor %}
            row_number() over (
                partition by
                    {%- for column in group.entity %}
                    moments.entity_{{ loop.index }},
                    {%- endfor %}
                    moments.moment_us
                order by
                    states.state_from desc,
                    states.state_to
                    {%- for column in values | map(attribute='of') | unique %},
                    states.of_{{ column }} nulls last
                    {%- endfor %}
            ) as state_rank
        from {{ moments }} as moments
        inner join states_keyed as states
            on
                {%- for column in group.entity %}
                {{ 'and ' if not loop.first }}moments.entity_{{ loop.index }} = states.entity_{{ loop.index }}
                {%- endfor %}
                and states.state_from <= moments.moment_at
                and (moments.moment_at < states.state_to) is not false

    )

    select
        {%- for column in group.entity %}
        entity_{{ loop.index }},
        {%- endfor %}
        moment_us,
        {%- for value in values %}
        of_{{ value.of }} as {{ value.feature }}{{ ',' if not loop.last }}
        {%- endfor %}
    from states_ranked
    where state_rank = 1
{%- endmacro %}
