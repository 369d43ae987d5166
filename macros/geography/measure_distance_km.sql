{# Haversine on a sphere of 6,371 km. #}
{% macro measure_distance_km(latitude, longitude, other_latitude, other_longitude) -%}
    2 * 6371 * asin(least(1, sqrt(
        power(sin(radians({{ other_latitude }} - {{ latitude }}) / 2), 2)
        + cos(radians({{ latitude }})) * cos(radians({{ other_latitude }}))
        * power(sin(radians({{ other_longitude }} - {{ longitude }}) / 2), 2)
    )))
{%- endmacro %}
