{# A speed is the least that two payments allow: from border to border, in the time between them. #}
{% macro class_card_travels(payments, countries, travel_speeds) -%}
    with journeys as (

        select
            payments.transaction_id,
            payments.country = payments.previous_country as is_within_country,
            {{ measure_distance_km(
                'previous_countries.latitude', 'previous_countries.longitude',
                'countries.latitude', 'countries.longitude',
            ) }} - previous_countries.radius_km - countries.radius_km as least_distance_km,
            {{ hours_between('payments.previous_at', 'payments.transacted_at') }} as passed_hours
        from {{ payments }} as payments
        left join {{ countries }} as countries on payments.country = countries.country
        left join {{ countries }} as previous_countries
            on payments.previous_country = previous_countries.country
        where payments.country <> {{ unknown_code() }} and payments.previous_country is not null

    ),

    travels as (

        select
            transaction_id,
            case
                when is_within_country or least_distance_km < 0 then 0
                else round(least_distance_km / passed_hours)
            end as travel_km_per_hour
        from journeys

    )

    select
        travels.transaction_id,
        travel_speeds.travel_class,
        travels.travel_km_per_hour
    from travels
    left join {{ travel_speeds }} as travel_speeds
        on
            travels.travel_km_per_hour >= travel_speeds.minimum_km_per_hour
            and (travels.travel_km_per_hour < travel_speeds.maximum_km_per_hour) is not false
{%- endmacro %}
