-- The true sentiment of each review; in one review of twenty the stars are reversed. A neutral
-- review has no word that shows a sentiment.
select
    'R' || order_id_of(order_number) as review_id,
    language,
    sentiment,
    is_empty
from reviews
where is_shown(shown_day_number) and not is_broken and not has_wrong_stars
order by review_id;
