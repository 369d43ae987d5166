-- What each review means, whatever its stars: one in twenty has mixed them up. A neutral one has no
-- word that shows a feeling.
select
    'R' || order_id_of(order_number) as review_id,
    language,
    sentiment,
    is_empty
from reviews
where is_shown(shown_day_number) and not is_broken and not has_wrong_stars
order by review_id;
