{# Tablet PC is a part of Windows that browsers named on any computer. #}
{% macro mask_user_agent_to_device_class(column) -%}
    case
        when
            {{ matches_pattern(
                "replace(lower(" ~ column ~ "), 'tablet pc', '')",
                'ipad|tablet|kindle|silk/|playbook',
            ) }}
            or (
                {{ matches_pattern('lower(' ~ column ~ ')', 'android') }}
                and not {{ matches_pattern('lower(' ~ column ~ ')', 'mobi') }}
            )
            then 'tablet'
        when {{ matches_pattern('lower(' ~ column ~ ')', 'mobi|iphone|ipod') }}
            then 'mobile'
        when {{ matches_pattern('lower(' ~ column ~ ')', 'windows|macintosh|x11|linux|cros') }}
            then 'desktop'
        else {{ unknown_code() }}
    end
{%- endmacro %}

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
