-- Phrases of the reviews, by language and sentiment. A neutral phrase shows no sentiment.
create table phrases as

select *
from (
    values
    ('en', 'positive', [
        'Works really well',
        'Very effective and gentle',
        'Excellent quality',
        'It helped within two days',
        'I love it', 'Not bad at all, great value', 'Superb, would recommend to everyone',
        'Happy with it again', 'Nothing to add: perfect', 'Pleasant taste & easy to take'
    ]),
    ('en', 'neutral', [
        'Arrived on Tuesday', 'Second order', 'Bought it for my mother', 'The pack holds 20',
        'I take one in the morning',
        'Ordered by phone',
        'The usual size',
        'It is what the picture shows'
    ]),
    ('en', 'negative', [
        'It did not help', 'Terrible smell', 'Very disappointing', 'The pack was damaged',
        'Not good', 'Too expensive for what it is', 'Awful taste', 'Useless', 'It never helped',
        'Bad, and late as well'
    ]),
    ('de', 'positive', [
        'Wirkt sehr schnell', 'Hervorragend verträglich', 'Bin sehr zufrieden', 'Hat mir geholfen',
        'Gar nicht schlecht',
        'Super Preis',
        'Kann ich nur empfehlen: perfekt',
        'Tolle Salbe, gerne wieder'
    ]),
    ('de', 'neutral', [
        'Kam am Dienstag an',
        'Zweite Bestellung',
        'Für meine Mutter bestellt',
        'Die Packung enthält 20 Stück',
        'Ich nehme morgens eine', 'Größe wie immer'
    ]),
    ('de', 'negative', [
        'Leider wirkungslos', 'Riecht furchtbar', 'Bin enttäuscht', 'Packung beschädigt',
        'Nicht gut', 'Viel zu teuer', 'Hat nicht geholfen', 'Schlechte Qualität, kam spät an'
    ]),
    ('fr', 'positive', [
        'Très efficace', 'Parfait pour moi', 'Je suis satisfait', 'Pas mauvais du tout',
        'Je le recommande', 'Texture agréable, effet rapide'
    ]),
    ('fr', 'neutral', [
        'Arrivé mardi', 'Deuxième commande', 'Pour ma mère', 'La boîte contient 20 pièces',
        'J''en prends un le matin'
    ]),
    ('fr', 'negative', [
        'Très déçu',
        'Pas efficace',
        'Odeur désagréable',
        'Boîte cassée',
        'Trop cher',
        'Un produit nul'
    ])
) as written (language, sentiment, phrases);

-- 27 % of the completed orders of known customers have a review of their first product.
create table reviews as

with drawn as (

    select
        order_number,
        customer_number,
        product_number,
        ship_country,
        completed_at,
        review_bits_of(order_number) as review_bits,
        bits_of('review words', order_number) as word_bits,
        bits_of('review form', order_number) as form_bits,
        bits_of('review fate', order_number) as fate_bits
    from order_lines
    where line_number = 1 and customer_number is not null and completed_at is not null

),

rated as (

    select
        *,
        stars_of(review_bits, product_number) as stars,
        case
            when ship_country in ('DE', 'AT') then 'de'
            when ship_country = 'CH' then draw_from(form_bits, 0, ['de', 'de', 'fr'])
            when ship_country = 'FR' then 'fr'
            else 'en'
        end as language,
        review_written_at(review_bits, completed_at) as written_at
    from drawn
    where is_reviewed(review_bits)

),

stars_intended as (

    select
        *,
        -- In one review of twenty the stars are reversed: the customer took one star for the best.
        if(draw(form_bits, 1, 20) = 0, 6 - stars, stars) as intended_stars
    from rated

),

sentiments_assigned as (

    select
        *,
        case
            when intended_stars = 3 then 'neutral'
            when intended_stars in (2, 4) and draw(form_bits, 2, 4) = 0 then 'neutral'
            when intended_stars > 3 then 'positive'
            else 'negative'
        end as sentiment,
        draw(form_bits, 3, 100) < 6 as is_empty
    from stars_intended

),

-- One or two phrases with the sentiment of the review, after a neutral phrase.
phrases_chosen as (

    select
        sentiments_assigned.*,
        draw_from(sentiments_assigned.word_bits, 0, chosen.phrases) as first_phrase,
        if(
            draw(sentiments_assigned.word_bits, 1, 3) = 0,
            draw_from(sentiments_assigned.word_bits, 2, chosen.phrases),
            null
        ) as second_phrase,
        draw_from(sentiments_assigned.word_bits, 3, remark.phrases) as remark_phrase
    from sentiments_assigned
    inner join phrases as chosen
        on
            sentiments_assigned.language = chosen.language
            and sentiments_assigned.sentiment = chosen.sentiment
    inner join phrases as remark
        on sentiments_assigned.language = remark.language and remark.sentiment = 'neutral'

),

joined as (

    select
        *,
        draw_from(fate_bits, 0, ['. ', '! ', '. ', '… ', '.' || chr(10), '!!! ']) as mark,
        draw(fate_bits, 1, 1000) as style_draw,
        draw(fate_bits, 2, 1000) as fate_draw,
        draw(fate_bits, 3, 1000) as lateness_draw
    from phrases_chosen

),

styled as (

    select
        *,
        concat_ws(mark, remark_phrase, first_phrase, second_phrase) as plain,
        case sentiment when 'positive' then ' 😀👍' when 'negative' then ' 😡' else ' 🤷' end as emoji
    from joined

),

reviews as (

    select
        order_number,
        customer_number,
        product_number,
        stars,
        language,
        sentiment,
        is_empty,
        case
            when is_empty then if(style_draw < 500, '', null)
            when style_draw < 120 then plain || emoji
            when style_draw < 180 then upper(plain) || '!!'
            when style_draw < 220 then '<p>' || replace(plain, '&', '&amp;') || '</p><br/>'
            when style_draw < 235
                then plain || '. ann.sample' || order_number % 1000 || '@example.org, 020 7946 0999'
            else plain || '.'
        end as body,
        fate_draw < 10 as has_no_stars,
        fate_draw between 10 and 12 as has_wrong_stars,
        fate_draw between 13 and 14 as is_broken,
        fate_draw between 20 and 29 as is_repeated,
        fate_draw between 30 and 49 as is_edited,
        day_of(written_at) + days_late(lateness_draw, 20, 15) as shown_day_number,
        written_at
    from styled

)

select * from reviews;

-- Reviews in the shop's exports: as written, some of them repeated, and some of them edited.
create table content_reviews as

with sent as (

    select
        *,
        0 as version,
        written_at as changed_at,
        body as text,
        shown_day_number as _sent_day_number
    from reviews

    union all

    select
        *,
        0 as version,
        written_at as changed_at,
        body as text,
        shown_day_number + 1 as _sent_day_number
    from reviews
    where is_repeated

    union all

    select
        *,
        1 as version,
        written_at + to_seconds(86400 * 5) as changed_at,
        if(is_empty, body, body || ' PS.') as text,
        shown_day_number + 5 as _sent_day_number
    from reviews
    where is_edited

),

written as (

    select
        *,
        cast(to_json({
            id: 'R' || order_id_of(order_number),
            customer: customer_id_of(customer_number),
            product: product_id_of(product_number),
            stars: case when has_no_stars then null when has_wrong_stars then 0 else stars end,
            text: text,
            written_at: strftime(written_at, '%Y-%m-%dT%H:%M:%SZ'),
            changed_at: strftime(changed_at, '%Y-%m-%dT%H:%M:%SZ')
        }) as varchar) as whole_record
    from sent

),

content_reviews as (

    select
        -- The export truncates a few lines.
        if(is_broken, left(whole_record, length(whole_record) // 2), whole_record) as record,
        order_number * 2 + version as _place,
        _sent_day_number
    from written
    where is_news(_sent_day_number)

)

select * from content_reviews;

-- The packs of a category often look alike: six products of ten have its shape, and a colour near
-- its own. Colours are levels from 0 to 8.
create macro style_bits_of(category) as bits_of('style', category);

create macro has_style(product_number) as draw(bits_of('brand', product_number), 0, 10) < 6;

-- Draw a level next to one from 1 to 7.
create macro level_near(level, bits, place) as level - 1 + draw(bits, place, 3);

create table styles as

select distinct
    category,
    draw_from(style_bits_of(category), 0, ['box', 'bottle', 'jar']) as shape,
    1 + draw(style_bits_of(category), 1, 7) as red_level,
    1 + draw(style_bits_of(category), 2, 7) as green_level,
    1 + draw(style_bits_of(category), 3, 7) as blue_level
from product_kinds;

-- One picture per product: the shape and colour of its pack, and the white fields of the label. A
-- few products have a second file: a copy, a brighter picture or a truncated picture.
create table pictures as

with numbered as (

    select
        product_number,
        category,
        launch_shown_day_number,
        bits_of('pack', product_number) as pack_bits,
        bits_of('label', product_number) as label_bits,
        bits_of('brand', product_number) as brand_bits,
        unnest(case product_number % 50
            when 2 then ['first', 'copy']
            when 4 then ['first', 'brighter']
            when 5 then ['first', 'broken']
            else ['first']
        end) as kind
    from products

),

levels_drawn as (

    select
        numbered.*,
        if(
            has_style(numbered.product_number),
            styles.shape,
            draw_from(numbered.pack_bits, 0, ['box', 'bottle', 'jar'])
        ) as shape,
        if(
            has_style(numbered.product_number),
            level_near(styles.red_level, numbered.brand_bits, 1),
            draw(numbered.pack_bits, 1, 9)
        ) as red_level,
        if(
            has_style(numbered.product_number),
            level_near(styles.green_level, numbered.brand_bits, 2),
            draw(numbered.pack_bits, 2, 9)
        ) as green_level,
        if(
            has_style(numbered.product_number),
            level_near(styles.blue_level, numbered.brand_bits, 3),
            draw(numbered.pack_bits, 3, 9)
        ) as blue_level
    from numbered
    inner join styles on numbered.category = styles.category

),

pictures as (

    select
        product_number,
        product_id_of(product_number) || if(kind = 'first', '-1', '-2') as picture_id,
        category,
        kind,
        shape,
        red_level,
        green_level,
        blue_level,
        20 + 16 * red_level as red,
        20 + 16 * green_level as green,
        20 + 16 * blue_level as blue,
        cast(label_bits & 1073741823 as bigint) as label,
        launch_shown_day_number as shown_day_number
    from levels_drawn

)

select * from pictures;
