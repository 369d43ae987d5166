"""Reviews are built incrementally, and are the same as after a full refresh."""

import os

import pytest
from support.chance import Chance
from support.lake_by_hand import Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

ROUND = int(os.environ.get("INCREMENTAL_ROUND", "1"))
ONLY = ("--select", "+review_text_features")


class ReviewedShop(Chance):
    """The shop with every irregularity, and reviews that arrive before their customers, change and disappear."""

    def load(self) -> None:
        super().load()
        self.lake.load(self.clock, content__reviews=[self.review() for _ in range(self.random.randint(1, 25))])
        if self.random.random() < 0.3:
            self.rewrite("content.reviews")

    def review(self) -> Row:
        return self.state(
            {"review_id": f"R{self.random.randint(1, 30)}"},
            {
                "customer_id": self.random.choice([None, *(f"C{n}" for n in range(1, 9))]),
                "product_id": self.random.choice([None, *(f"P{n}" for n in range(1, 7))]),
                "rating": self.random.choice([None, 1, 5]),
                "body": self.random.choice([None, "", "Good. Not good!", "<b>Très</b> bon"]),
                "created_at": self.time(),
            },
        )


@pytest.mark.slow
def test_reviews_built_incrementally_equal_a_full_refresh(incremental: Warehouse, full: Warehouse) -> None:
    # Given a shop whose reviews and dimensions arrive in any order, change and disappear
    shop = ReviewedShop(ROUND)

    # When one warehouse is built after every load, and one from nothing
    for _ in range(3):
        shop.load()
        incremental.build(shop.lake, *ONLY)
    full.build(shop.lake, *ONLY, "--full-refresh")

    # Then both are equal
    assert incremental.differences(full) == {}
    assert incremental.rows("select count(*) > 5 from core.fct_reviews") == [(True,)]
