"""A sudden rise of nulls in a column is reported, or stops the load, as its contract says."""

from collections.abc import Sequence

import pytest
from support.shop import ORDERS, Shop

from flows.core.errors import GateFailed


def orders(first: int, customers: Sequence[str | None]) -> list[dict[str, object]]:
    return [
        {
            "order_id": f"{first + n}",
            "customer": customer,
            "quantity": 1,
            "price": 2,
            "updated_at": f"2026-03-01 10:{n:02}:00",
        }
        for n, customer in enumerate(customers)
    ]


def test_a_column_that_turns_empty_is_told(shop: Shop) -> None:
    # Given orders most of which name a customer
    shop.drop_rows("1.jsonl", orders(0, ["Ada"] * 25 + [None] * 5))
    assert shop.load().notes == ()

    # When some arrive without a customer, and some with the usual share of customers
    shop.drop_rows("2.jsonl", orders(100, ["Bob"] * 3 + [None] * 27))
    told = shop.load().notes
    shop.drop_rows("3.jsonl", orders(200, ["Bob"] * 20 + [None] * 10))

    # Then the first batch is reported, once
    assert told == ("sales.orders: customer is null in 90% of 30 new rows, and in 17% of those before",)
    assert shop.load().notes == ()


@pytest.mark.parametrize("count", [19, 20])
def test_a_few_nulls_are_no_news(shop: Shop, count: int) -> None:
    shop.drop_rows("1.jsonl", orders(0, ["Ada"] * 30))
    shop.load()
    shop.drop_rows("2.jsonl", orders(100, [None] * count))
    assert bool(shop.load().notes) == (count == 20)


def test_more_nulls_than_a_contract_allows_stop_the_load(shop: Shop) -> None:
    # Given a contract that allows 20 % orders of guests, and orders within this limit
    guests_are_few = {"data_type": "varchar", "config": {"meta": {"null_limit_pct": 20}}}
    shop.declare(columns={**ORDERS, "customer": guests_are_few}, load="upsert", cursor="updated_at")
    shop.drop_rows("1.jsonl", orders(0, ["Ada"] * 30))
    shop.load()
    before = shop.stored()

    # When a file arrives in which most orders have no customer
    file = shop.drop_rows("2.jsonl", orders(100, ["Bob"] * 5 + [None] * 25))
    with pytest.raises(
        GateFailed, match=r"sales\.orders: customer: null in 25 of 30 new records, of which 20 % may be"
    ):
        shop.load()

    # Then no record of it is in the lake, and all of them are after the source was fixed
    assert shop.stored() == before
    file.unlink()
    shop.drop_rows("2.jsonl", orders(100, ["Bob"] * 30))
    assert shop.load().counts.accepted == 30
