{# Pairs compare by time, then by country name, so the last country does not depend on chance. #}
{% macro class_card_travels(charges, countries, travel_speeds) -%}
    with payments_by_card as (

        select
            transaction_id,
            card_id,
            nullif(country, {{ unknown_code() }}) as known_country,
            transacted_at
        from {{ charges }}
        where card_id is not null

    ),

    payments_located as (

        select
            *,
            case
                when known_country is not null
                    then {{ make_pair(convert_to_epoch_us('transacted_at'), 'known_country') }}
            end as located_country
        from payments_by_card

    ),

    locations_preceded as (

        select
            transaction_id,
            known_country,
            {{ roll_past('max', 'located_country', 'transacted_at', 'card_id') }}
                as previous_location,
            transacted_at
        from payments_located

    ),

    previous_locations as (

        select
            transaction_id,
            known_country,
            (previous_location).second as previous_country,
            (previous_location).first as previous_us,
            transacted_at
        from locations_preceded
        where known_country is not null and previous_location is not null

    ),

    country_changes as (

        select
            previous_locations.transaction_id,
            previous_locations.previous_country,
            previous_locations.known_country <> previous_locations.previous_country
                as has_country_changed,
            {{ measure_distance_km(
                'previous_countries.latitude', 'previous_countries.longitude',
                'countries.latitude', 'countries.longitude',
            ) }} - previous_countries.radius_km - countries.radius_km as least_distance_km,
            (
                {{ convert_to_epoch_us('previous_locations.transacted_at') }}
                - previous_locations.previous_us
            ) / cast(3600000000 as double) as passed_hours
        from previous_locations
        left join {{ countries }} as countries
            on previous_locations.known_country = countries.country
        left join {{ countries }} as previous_countries
            on previous_locations.previous_country = previous_countries.country

    ),

    travels as (

        select
            transaction_id,
            previous_country,
            has_country_changed,
            case
                when not has_country_changed or least_distance_km < 0 then 0
                else round(least_distance_km / passed_hours)
            end as travel_km_per_hour
        from country_changes

    )

    select
        travels.transaction_id,
        travels.previous_country,
        travel_speeds.travel_class,
        travels.travel_km_per_hour,
        travels.has_country_changed
    from travels
    left join {{ travel_speeds }} as travel_speeds
        on
            travels.travel_km_per_hour >= travel_speeds.minimum_km_per_hour
            and (travels.travel_km_per_hour < travel_speeds.maximum_km_per_hour) is not false
{%- endmacro %}
