-- Whether a review with this text, of a product of this quality, has four or five stars.
with stars_drawn as (

    select
        quality,
        unnest(case quality
            when 0 then [5, 5, 5, 5, 5, 4, 4, 4, 3, 1]
            when 1 then [5, 5, 5, 4, 4, 4, 3, 3, 2, 1]
            else [5, 4, 4, 3, 3, 2, 2, 1, 1, 1]
        end) as stars
    from range(3) as qualities (quality)

),

intended as (

    select
        stars_drawn.quality,
        stars_drawn.stars,
        if(reversals.place = 0, 6 - stars_drawn.stars, stars_drawn.stars) as intended_stars
    from stars_drawn
    cross join range(20) as reversals (place)

),

written as (

    select
        intended.quality,
        intended.stars,
        case
            when intended.intended_stars = 3 then 'neutral'
            when intended.intended_stars in (2, 4) and neutrals.place = 0 then 'neutral'
            when intended.intended_stars > 3 then 'positive'
            else 'negative'
        end as sentiment
    from intended
    cross join range(4) as neutrals (place)

),

shares as (

    select
        quality,
        sentiment,
        avg(cast(stars > 3 as integer)) as positive_share
    from written
    where stars <> 3
    group by quality, sentiment

)

select
    test_rows.row_number,
    shares.positive_share as odds
from test_rows
inner join reviews on test_rows.review_id = 'R' || order_id_of(reviews.order_number)
inner join shares
    on
        draw(bits_of('quality', reviews.product_number), 0, 3) = shares.quality
        and reviews.sentiment = shares.sentiment;
