{# Cubot is a maker of telephones. #}
{% macro mask_user_agent_to_bot_flag(column) -%}
    coalesce(
        {{ matches_pattern(
            "replace(lower(" ~ column ~ "), 'cubot', '')",
            'bot|crawl|spider|slurp|scrap|headless|phantomjs|lighthouse|externalhit|preview'
            ~ '|monitor|uptime|pingdom|curl/|wget|python|java/|okhttp|go-http|httpclient|libwww',
        ) }},
        false
    )
{%- endmacro %}
