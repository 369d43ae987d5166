-- Clickstream of the web shop and the app. A visitor is a browser or an app. The customer id is
-- known from the login on. A visit with an order ends with the order. depth is the last step that a
-- visit reaches in order: 0 none, 1 product viewed, 2 added to the cart, 3 checkout started,
-- 4 bought.
create table web_visits as

with buying as (

    select
        'order/' || order_number as visit_id,
        day_number,
        customer_number,
        first_product_number,
        ordered_at,
        channel = 'app' as is_app
    from orders
    where channel in ('web', 'app') and day_number >= getvariable('since_day') - 20

),

-- There are twice as many visits without an order as orders, in every season. Some are by bots.
browsing as (

    select
        'browse/' || unnest(range(2 * orders_before, 2 * (orders_before + order_count)))
            as visit_id,
        day_number
    from calendar
    where day_number >= getvariable('since_day') - 20

),

browsing_drawn as (

    select
        *,
        bits_of('browsing', visit_id) as browsing_bits,
        bits_of('browser', visit_id) as browser_bits
    from browsing

),

browsers_proposed as (

    select
        *,
        draw(browsing_bits, 0, 1000) as kind_draw,
        if(
            draw(browsing_bits, 0, 1000) < 450,
            least(
                customers_by(day_number - 1) - 1,
                draw_of_many(browser_bits, 1, customers_by(day_number - 1)) // 100 * 100
                + draw_skewed(browser_bits, 100)
            ),
            null
        ) as proposed_customer_number
    from browsing_drawn

),

visits as (

    select
        visit_id,
        day_number,
        customer_number,
        first_product_number,
        ordered_at,
        is_app,
        -1 as kind_draw
    from buying

    union all

    select
        browsers_proposed.visit_id,
        browsers_proposed.day_number,
        -- A lapsed customer does not visit; the visit becomes that of a guest.
        if(
            coalesce(customers.lapsed_day_number <= browsers_proposed.day_number, false),
            null,
            browsers_proposed.proposed_customer_number
        ) as customer_number,
        draw_skewed(browsers_proposed.browsing_bits >> 16, products_by(-1)) as first_product_number,
        null as ordered_at,
        draw(browsers_proposed.browsing_bits, 1, 5) = 0 as is_app,
        browsers_proposed.kind_draw
    from browsers_proposed
    left join customers
        on browsers_proposed.proposed_customer_number = customers.customer_number

),

drawn as (

    select
        *,
        bits_of('visit', visit_id) as visit_bits,
        bits_of('course', visit_id) as course_bits,
        case
            when kind_draw between 900 and 979 then 'declared bot'
            when kind_draw >= 980 and kind_draw < 990 then 'fast bot'
            else 'human'
        end as kind
    from visits

),

-- Of eight orders, six have the usual steps. One skips steps (one click), and one has steps in
-- another order (again).
courses_drawn as (

    select
        *,
        case
            when ordered_at is not null
                then ['usual', 'usual', 'usual', 'usual', 'usual', 'usual', 'one click', 'again'][
                    1 + draw(course_bits, 0, 8)
                ]
            when kind <> 'human' then 'crawl'
            when draw(course_bits, 0, 100) < 30 then 'look'
            when draw(course_bits, 0, 100) < 72 then 'view'
            when draw(course_bits, 0, 100) < 77 then 'cart first'
            when draw(course_bits, 0, 100) < 93 then 'cart'
            else 'checkout'
        end as course,
        case kind
            when 'human' then 2 + draw_skewed(course_bits >> 16, 3)
            when 'fast bot' then 13 + draw(course_bits, 1, 12)
            else 3 + draw(course_bits, 1, 12)
        end as look_count,
        case kind
            when 'human' then 6000 + draw(visit_bits, 0, 90000)
            when 'fast bot' then 200 + draw(visit_bits, 0, 300)
            else 2000 + draw(visit_bits, 0, 20000)
        end as pace_milliseconds
    from drawn

),

-- The last events of a visit, after the events of browsing.
planned as (

    select
        *,
        case course
            when 'usual' then ['product_view', 'add_to_cart', 'checkout', 'purchase']
            when 'one click' then ['product_view', 'purchase']
            when 'again' then ['add_to_cart', 'product_view', 'checkout', 'purchase']
            when 'view' then ['product_view', 'page_view']
            when 'cart first' then ['add_to_cart', 'product_view']
            when 'cart' then ['product_view', 'add_to_cart', 'page_view']
            when 'checkout' then ['product_view', 'add_to_cart', 'checkout']
            when 'crawl' then ['product_view', 'product_view']
            else ['page_view']
        end as last_events,
        case course
            when 'usual' then 4
            when 'checkout' then 3
            when 'cart' then 2
            when 'look' then 0
            else 1
        end as depth,
        -- Some visitors pause: for less than half an hour, for exactly half an hour, or for longer.
        case
            when kind <> 'human' or draw(visit_bits, 1, 100) >= 12 then 0
            when course not in ('look', 'view') or draw(visit_bits, 1, 100) < 7
                then 600000 + draw(visit_bits, 2, 900) * 1000
            when draw(visit_bits, 1, 100) < 8 then 1800000
            else 1800001 + draw(visit_bits, 2, 3600) * 1000
        end as pause_milliseconds
    from courses_drawn

),

-- The times have no random noise, so that a pause of half an hour is exact.
timed as (

    select
        *,
        look_count + len(last_events) as event_count,
        coalesce(
            ordered_at,
            moment(
                day_number,
                draw_from(course_bits, 3, getvariable('hours_by_demand')) * 3600
                + draw(visit_bits, 3, 3600)
            ) + to_milliseconds(draw(visit_bits, 2, 1000))
        )
        - to_milliseconds(
            if(ordered_at is null, 0, (look_count + len(last_events) - 1) * pace_milliseconds)
            + if(ordered_at is null, 0, pause_milliseconds)
        ) as started_at
    from planned

),

visitors_found as (

    select
        *,
        case
            when kind <> 'human' then 'b' || substring(md5('robot' || visit_id), 1, 15)
            when customer_number is not null
                then 'v' || substring(
                    md5(
                        getvariable('seed') || '/' || customer_number || '/'
                        || if(is_app, 'app', if(draw(course_bits, 3, 97) < 20, 'second', 'first'))
                    ), 1, 15
                )
            -- A visit without a customer has only a browser id. The same browser may return later.
            else 'g' || substring(
                md5(
                    getvariable('seed') || '/' || draw_of_many(
                        bits_of('guest', visit_id), 0, 4 * customers_by(-1)
                    )
                ), 1, 15
            )
        end as visitor_id
    from timed

),

-- A blocker hides a visit that starts within six hours of the previous visit of its visitor.
visits_apart as (

    select
        *,
        coalesce(
            started_at - lag(started_at) over (
                partition by visitor_id order by started_at, visit_id
            ) > interval 6 hours,
            true
        ) as is_tracked
    from visitors_found

),

web_visits as (

    select
        * exclude (is_tracked, course_bits),
        -- The number of the event that logs the customer in. Buyers log in before the purchase, and
        -- half of the other customers log in.
        case
            when customer_number is null then null
            when ordered_at is not null then 1 + draw(course_bits, 2, event_count - 1)
            when draw(visit_bits, 0, 2) = 0 then 1 + draw(course_bits, 2, event_count)
        end as login_place,
        if(
            is_app or kind <> 'human',
            null,
            [
                'https://www.google.com/',
                'https://www.google.de/',
                'https://duckduckgo.com/',
                null,
                'https://l.facebook.com/l.php', 'https://www.bing.com/search', null, '',
                'https://apotheken-vergleich.example/s?q=ibu', 'https://mail.google.com/mail/u/0/'
            ][1 + draw(bits_of('way', visit_id), 0, 10)]
        ) as came_from,
        case
            when kind = 'declared bot'
                then [
                    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
                    'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
                    'python-requests/2.32.3', 'UptimeMonitor/1.0'
                ][1 + draw(bits_of('way', visit_id), 1, 4)]
            when is_app
                then [
                    'PharmacyApp/4.2 (iPhone; iOS 18.3)', 'PharmacyApp/4.1 (Android 15; Mobile)'
                ][1 + draw(bits_of('agent', visitor_id), 1, 2)]
            when draw(bits_of('agent', visitor_id), 0, 100) < 3 then null
            else [
                'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)'
                || ' Chrome/131.0.0.0 Safari/537.36',
                'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15'
                || ' (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
                'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15'
                || ' (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
                'Mozilla/5.0 (Linux; Android 14; CUBOT P80) AppleWebKit/537.36 (KHTML, like Gecko)'
                || ' Chrome/130.0.0.0 Mobile Safari/537.36',
                'Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0',
                'Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15'
                || ' (KHTML, like Gecko) Version/17.7 Safari/605.1.15'
            ][1 + draw(bits_of('agent', visitor_id), 1, 6)]
        end as agent
    from visits_apart
    where is_tracked

)

select * from web_visits;

-- Every event with the day on which it is sent. Most are sent at once. A telephone without a
-- connection sends its events hours or days later.
create table web_visit_events as

with places as (

    select
        visit_id,
        unnest(range(1, event_count + 1)) as place
    from web_visits

),

drawn as (

    select
        web_visits.*,
        places.place,
        bits_of('event', web_visits.visit_id || '/' || places.place) as event_bits
    from places
    inner join web_visits on places.visit_id = web_visits.visit_id

),

timed as (

    select
        *,
        if(place > look_count, last_events[place - look_count], null) as last_event,
        -- The pause comes before the last event of browsing.
        started_at + to_milliseconds(
            (place - 1) * pace_milliseconds + if(place >= look_count, pause_milliseconds, 0)
        )
        - to_milliseconds(if(place = look_count and pause_milliseconds > 0, pace_milliseconds, 0))
            as occurred_at
    from drawn

),

typed as (

    select
        *,
        if(place >= look_count and pause_milliseconds > 1800000, 2, 1) as part,
        case
            when last_event is not null then last_event
            when place = login_place then 'login'
            when kind = 'human' and draw(event_bits, 0, 5) = 0 then 'search'
            else 'page_view'
        end as event_type,
        case
            when kind <> 'human' then 0
            when draw(event_bits, 1, 1000) < 15 then 3600 * (1 + draw(event_bits, 2, 20))
            when draw(event_bits, 1, 1000) < 18 then 86400 * (1 + draw(event_bits, 2, 9))
            else 0
        end as delay_seconds
    from timed

)

select
    visit_id,
    place,
    part,
    place > look_count as is_last_event,
    kind,
    depth,
    visitor_id,
    case when place >= login_place then customer_number end as customer_number,
    event_type,
    event_bits,
    first_product_number,
    is_app,
    case when place = 1 then came_from when not is_app then 'https://pharmacy.example/' end
        as referrer,
    agent,
    occurred_at,
    delay_seconds,
    day_of(occurred_at + to_seconds(delay_seconds)) as sent_day_number
from typed;

-- Events in the tracker's files, nearly in the order of time. Some are repeated days later, and a
-- few lines are invalid.
create table web_events as

with described as (

    select
        *,
        'e' || substring(md5(visit_id || '/' || place), 1, 19) as event_id,
        if(
            event_type in ('product_view', 'add_to_cart'),
            product_id_of(first_product_number),
            null
        ) as product_id
    from web_visit_events
    where
        is_shown(sent_day_number)
        and (
            is_news(sent_day_number)
            or is_news(sent_day_number + 1 + draw(event_bits, 3, 200))
        )

),

written as (

    select
        *,
        cast(to_json({
            event_id: event_id,
            visitor_id: visitor_id,
            customer_id: customer_id_of(customer_number),
            event_type: event_type,
            url: if(is_app, 'app://pharmacy.example', 'https://pharmacy.example') || case
                when event_type = 'search'
                    then '/search?q=' || [
                        'heat+patch', 'vitamin+d', 'nasal+spray', 'plasters', 'my+back+hurts'
                    ][1 + draw(event_bits, 2, 5)]
                when product_id is not null then '/p/' || product_id
                when event_type = 'login'
                    then
                        '/login?email=reader' || customer_number
                        || '%40example.com'
                when event_type in ('checkout', 'purchase') then '/' || event_type
                when draw(event_bits, 2, 3) = 0 then '/?utm_source=newsletter'
                else '/c/' || ['pain', 'vitamins', 'baby', 'allergy'][1 + draw(event_bits, 3, 4)]
            end,
            product_id: product_id,
            referrer: referrer,
            agent: agent,
            "time": strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%gZ') -- noqa: RF06
        }) as varchar) as record
    from described

),

sent as (

    select
        record,
        sent_day_number as _sent_day_number,
        row(epoch_ms(occurred_at) + draw(event_bits, 0, 600000), event_id, 0) as _place
    from written

    union all

    select
        record,
        sent_day_number + 1 + draw(event_bits, 3, 200) as _sent_day_number,
        row(epoch_ms(occurred_at), event_id, 1) as _place
    from written
    where draw(event_bits, 3, 200) < 3

    union all

    select
        case draw(event_bits, 0, 3)
            when 0 then left(record, len(record) // 2)
            when 1 then replace(record, visitor_id, ' ')
            else regexp_replace(record, '"time":"[^"]*"', '"time":"0000-00-00T00:00:00Z"')
        end as record,
        sent_day_number as _sent_day_number,
        row(epoch_ms(occurred_at), event_id, 2) as _place
    from written
    where event_bits >> 52 = 7

)

select * from sent
where is_news(_sent_day_number);
