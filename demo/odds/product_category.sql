-- The category of a pack of this shape and colour: six of ten have the style of their category, and
-- the others any shape and any of 9 × 9 × 9 colours.
with priors as (

    select
        category,
        count(*) / sum(count(*)) over () as share
    from products
    group by category

),

likelihoods as (

    select
        test_rows.row_number,
        priors.category,
        priors.share * (
            0.6 * cast(
                pictures.shape = styles.shape
                and abs(pictures.red_level - styles.red_level) <= 1
                and abs(pictures.green_level - styles.green_level) <= 1
                and abs(pictures.blue_level - styles.blue_level) <= 1
                as integer
            ) / 27
            + 0.4 / 3 / 729
        ) as likelihood
    from test_rows
    inner join pictures on test_rows.image_id = pictures.picture_id
    cross join styles
    inner join priors on styles.category = priors.category

)

select
    row_number,
    category as class,
    likelihood / sum(likelihood) over (partition by row_number) as odds
from likelihoods;
