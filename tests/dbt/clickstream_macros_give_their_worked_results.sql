with results as (

    select
        'mask_url_to_path' as macro_name,
        {{ mask_url_to_path("'https://shop.example/p/17?q=ann#top'") }} as result,
        '/p/17' as worked_result

    union all

    select
        'mask_url_to_path without a path' as macro_name,
        {{ mask_url_to_path("'https://shop.example?q=ann'") }} as result,
        '/' as worked_result

    union all

    select
        'mask_url_to_path with an address in it' as macro_name,
        {{ mask_url_to_path("'/reset/ann@example.org/key'") }} as result,
        '/reset/*/key' as worked_result

    union all

    select
        'mask_url_to_path of blanks' as macro_name,
        {{ mask_url_to_path("' '") }} as result,
        null as worked_result

    union all

    select
        'extract_domain' as macro_name,
        {{ extract_domain("'https://ann@www.Shop.example:8080/p'") }} as result,
        'shop.example' as worked_result

    union all

    select
        'is_on_domain' as macro_name,
        cast({{ is_on_domain(
            "'https://www.Shop.example/p/17'", "'shop.example'"
        ) }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'is_on_domain at a port' as macro_name,
        cast({{ is_on_domain(
            "'https://www.Shop.example:8443/p/17'", "'shop.example'"
        ) }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'is_on_domain of another one' as macro_name,
        cast({{ is_on_domain(
            "'https://shop.example.org:8443/shop.example'", "'shop.example'"
        ) }} as varchar) as result,
        'false' as worked_result

    union all

    select
        'mask_user_agent_to_device_class' as macro_name,
        {{ mask_user_agent_to_device_class(
            "'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)'"
        ) }} as result,
        'mobile' as worked_result

    union all

    select
        'mask_user_agent_to_device_class of Windows with a tablet in its name' as macro_name,
        {{ mask_user_agent_to_device_class(
            "'Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Tablet PC 2.0)'"
        ) }} as result,
        'desktop' as worked_result

    union all

    select
        'mask_user_agent_to_device_class of null' as macro_name,
        {{ mask_user_agent_to_device_class('cast(null as varchar)') }} as result,
        'unknown' as worked_result

    union all

    select
        'mask_user_agent_to_bot_flag' as macro_name,
        cast({{ mask_user_agent_to_bot_flag(
            "'Mozilla/5.0 (compatible; Googlebot/2.1)'"
        ) }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'mask_user_agent_to_bot_flag of null' as macro_name,
        cast({{ mask_user_agent_to_bot_flag('cast(null as varchar)') }} as varchar) as result,
        'false' as worked_result

    union all

    select
        'detect_bot_pace' as macro_name,
        cast({{ detect_bot_pace('20', '18') }} as varchar)
        || ' ' || cast({{ detect_bot_pace('20', '19') }} as varchar)
        || ' ' || cast({{ detect_bot_pace('9', '1') }} as varchar) as result,
        'true false false' as worked_result

    union all

    select
        'name_session' as macro_name,
        {{ name_session("'V1'", "timestamp '2026-01-01 00:00:01'") }} as result,
        'V1-1767225601000000' as worked_result

    union all

    select
        'session_gap and allowed_lateness' as macro_name,
        cast(timestamp '2026-01-01' + {{ session_gap() }} as varchar)
        || ' ' || cast(timestamp '2026-01-01' + {{ allowed_lateness() }} as varchar) as result,
        '2026-01-01 00:30:00 2026-01-04 00:00:00' as worked_result

    union all

    select
        'add_days' as macro_name,
        cast({{ add_days("date '2026-02-28'", '1') }} as varchar) as result,
        '2026-03-01' as worked_result

    union all

    select
        'matches_pattern' as macro_name,
        cast({{ matches_pattern("'robot'", 'bot|crawl') }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'replace_pattern' as macro_name,
        {{ replace_pattern("'a1b2'", '[0-9]', '*') }} as result,
        'a*b*' as worked_result

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
