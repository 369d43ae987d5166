{% macro fill_sensor(quantity) -%}
    {%- set value -%}
        case
            when gap_minutes <= longest_{{ quantity }}_gap_minutes
                then
                    round(
                        cleaned_{{ quantity }}
                        + (next_{{ quantity }} - cleaned_{{ quantity }}) * way_passed,
                        4
                    )
        end
    {%- endset %}
    {{ value | trim }} as mean_{{ quantity }},
    {{ value | trim }} as min_{{ quantity }},
    {{ value | trim }} as max_{{ quantity }},
    cast(null as double) as raw_mean_{{ quantity }},
    0 as imputed_{{ quantity }}_count,
    0 as stuck_{{ quantity }}_count,
    0 as impossible_{{ quantity }}_count
{%- endmacro %}
