-- The content of each picture. The colour of the pack fills most of it. A copy is the same file, a
-- brighter picture shows the same pack, and a broken file is not a valid image. is_in_style: the
-- pack has the shape and nearly the colour of its category.
select
    picture_id as image_id,
    product_id_of(product_number) as product_id,
    kind,
    shape,
    '#' || lower(lpad(hex(red), 2, '0') || lpad(hex(green), 2, '0') || lpad(hex(blue), 2, '0'))
        as dominant_colour,
    category,
    has_style(product_number) as is_in_style
from pictures
where is_shown(shown_day_number)
order by image_id;
