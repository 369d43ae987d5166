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
