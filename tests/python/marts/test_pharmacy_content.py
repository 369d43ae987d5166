"""The warehouse finds the planted truth of reviews and pictures, and no text of a review leaves the lake."""

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

ENDS = ".,;:!?…、。！？"


def lake_rows(pharmacy: "Pharmacy", query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(pharmacy.folder / "catalog.duckdb"), read_only=True) as lake:
        return lake.execute(query).fetchall()


def sentiment(score: float | None) -> str:
    return "neutral" if not score else "positive" if score > 0 else "negative"


def test_what_a_review_means_is_found_in_its_words_whatever_its_stars(pharmacy: "Pharmacy") -> None:
    # Given the true sentiment of each review, and the features of its text
    planted = {row["review_id"]: row for row in pharmacy.planted("reviews")}
    features = {row["review_id"]: row for row in pharmacy.rows("from machine_learning.review_text_features")}

    # Then every review is there, and its words give the sentiment in each language; the stars are sometimes wrong
    assert features.keys() == planted.keys()
    written = [row for row in planted.values() if not row["is_empty"]]
    assert {row["language"] for row in written} == {"de", "en", "fr"}
    assert all(sentiment(features[row["review_id"]]["sentiment_score"]) == row["sentiment"] for row in written)
    by_stars = Counter(
        (row["sentiment"], features[row["review_id"]]["rating"] > 3)
        for row in written
        if row["sentiment"] != "neutral" and features[row["review_id"]]["rating"] is not None
    )
    agreeing = by_stars["positive", True] + by_stars["negative", False]
    assert 0.9 < agreeing / by_stars.total() < 1

    # And a review without a text has only stars
    empty = [features[row["review_id"]] for row in planted.values() if row["is_empty"]]
    assert empty
    assert [(row["word_count"], row["sentiment_score"], row["term_weights"]) for row in empty] == [
        (0, None, None)
    ] * len(empty)


def test_term_weights_are_those_of_a_reference_in_python(pharmacy: "Pharmacy") -> None:
    # Given the latest texts in the lake
    texts = lake_rows(
        pharmacy,
        "select review_id, coalesce(body, '') from content.reviews "
        "qualify row_number() over (partition by review_id order by updated_at desc, _batch desc, _row desc) = 1",
    )

    # When terms are hashed by md5 and counted in Python
    def weights(text: str) -> dict[int, int]:
        plain = re.sub(r"<[/!a-zA-Z][^<>]*>|&#?[a-zA-Z0-9]+;", " ", text)
        found: Counter[int] = Counter()
        for word in re.findall(r"[^\W_]+", plain.lower()):
            digest = hashlib.md5(word.encode(), usedforsecurity=False).hexdigest()
            found[int(digest[:8], 16) % 256] += 1 if digest[8] < "8" else -1
        return {bucket: weight for bucket, weight in found.items() if weight}

    # Then the warehouse has the same counts
    found = {
        row["review_id"]: row["term_weights"] or {}
        for row in pharmacy.rows("select review_id, term_weights from machine_learning.review_text_features")
    }
    assert found == {review_id: weights(text) for review_id, text in texts}
    assert len(texts) > 500


def test_reviewers_bought_what_they_speak_of(pharmacy: "Pharmacy") -> None:
    lines = "from core.fct_order_lines as lines where lines.customer_id = reviews.customer_id"
    strangers = pharmacy.rows(
        "select count(*) as reviews from core.fct_reviews as reviews "
        f"where not exists ({lines} and lines.product_id = reviews.product_id)"
    )
    assert strangers == [{"reviews": 0}]


def test_no_text_of_a_review_is_in_a_release(pharmacy: "Pharmacy") -> None:
    # Given reviews with names of people
    canaries = lake_rows(pharmacy, "select body from content.reviews where body like '%@example.org%'")
    assert canaries

    # Then no row of the release contains their text
    tables = pharmacy.rows("select schema_name || '.' || table_name as name from duckdb_tables()")
    texts = " or ".join(
        f"contains(cast(everything as varchar), '{text}')" for text in ("ann.sample", "7946 0999", "@example")
    )
    assert len(tables) > 50
    assert [table for table in tables if pharmacy.rows(f"from {table['name']} as everything where {texts}")] == []


def test_pictures_have_the_colour_of_their_pack(pharmacy: "Pharmacy") -> None:
    # Given the drawn pictures
    planted = {row["image_id"]: row for row in pharmacy.planted("images")}
    features = {row["image_id"]: row for row in pharmacy.rows("from machine_learning.image_features")}

    # Then each picture has its product and the colour of its pack; truncated files are quarantined
    whole = {name: row for name, row in planted.items() if row["kind"] != "broken"}
    assert features.keys() == whole.keys()
    for name, row in whole.items():
        found = features[name]
        assert found["product_id"] == row["product_id"]
        assert (found["dominant_colour"] == row["dominant_colour"]) == (row["kind"] != "brighter")
        assert found["is_readable"]
    quarantined = duckdb.sql(
        f"select _position from read_parquet('{pharmacy.folder}/lake/quarantine/content/images/*.parquet')"
    ).fetchall()
    broken = {f"images/{name}.png:1" for name, row in planted.items() if row["kind"] == "broken"}
    assert {position for (position,) in quarantined} == broken != set()


def test_copies_and_brighter_pictures_are_found(pharmacy: "Pharmacy") -> None:
    # Given copies of pictures under other names, or brighter
    planted = {row["image_id"]: row for row in pharmacy.planted("images") if row["kind"] in ("copy", "brighter")}

    # Then each is paired with the first picture of its product, and there are few wrong pairs
    pairs = pharmacy.rows("from machine_learning.similar_images")
    found = {
        row["similar_image_id"]: row["is_same_content"]
        for row in pairs
        if row["product_id"] == row["similar_product_id"]
    }
    assert found == {name: row["kind"] == "copy" for name, row in planted.items()}
    assert len(pairs) - len(found) <= 1


def test_what_is_made_of_a_picture_belongs_to_it(pharmacy: "Pharmacy") -> None:
    # Given pictures for training
    made = pharmacy.rows("from machine_learning.training_images")
    colours = {row["product_id"]: row["dominant_colour"] for row in pharmacy.planted("images")}

    # Then each content has one original and four children, with the label of its product
    groups = Counter(row["content_group"] for row in made)
    assert set(groups.values()) == {5}
    assert {row["product_id"] for row in made} == colours.keys()

    # And the lake has the bytes of each child under their hash
    bytes_of = dict(lake_rows(pharmacy, "select sha256, bytes from content.augmented_images"))
    children = [row for row in made if row["is_augmented"]]
    assert all(hashlib.sha256(bytes_of[row["sha256"]]).hexdigest() == row["sha256"] for row in children)
