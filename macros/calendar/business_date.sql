{# In UTC every day is the date as it is written, so nothing is converted, which costs time. #}
{% macro business_date(at, zone=none) -%}
    {%- set usual = "'" ~ var('business_time_zone') ~ "'" -%}
    {%- set usual_time = at if usual == "'UTC'" else convert_to_zone(at, usual) -%}
    {%- if zone is none -%}
    cast({{ usual_time }} as date)
    {%- else -%}
    case
        when {{ zone }} is null
            then cast({{ usual_time }} as date)
        else cast({{ convert_to_zone(at, zone) }} as date)
    end
    {%- endif -%}
{%- endmacro %}
