"""Label and training models of other trades: a row has the outcome that its records tell, once it can be known."""

import random
from calendar import monthrange
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from support.lake_by_hand import SEEDS_OF_LONG_TESTS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

DAY = timedelta(days=1)
CHURN_DAYS, VALUE_DAYS, DEMAND_DAYS, NEXT_DAYS = 120, 90, 7, 28
LABELS = {
    "label_customer_churn": "customer_id, as_of",
    "label_customer_value": "customer_id, currency, as_of",
    "label_product_demand": "product_id, as_of",
    "label_next_purchase": "customer_id, product_id, as_of",
}
MODELS = (*LABELS, "train_customer_churn", "score_customer_churn")
FIRST, LAST = datetime(2025, 7, 7, 4), datetime(2026, 2, 2, 4)


def end_of_month(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


class Rental:
    """A bicycle rental without a web shop. Its orders are loaded each week, except in an outage of seven weeks."""

    outage = (datetime(2025, 9, 1), datetime(2025, 10, 20))

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.orders: list[Row] = []
        for number in range(900):
            happened = datetime(2025, 1, 6) + timedelta(hours=chance.randrange(24 * 380))
            renter = f"renter {min(chance.randrange(60), chance.randrange(60))}"
            self.orders.append(
                {
                    "order_id": f"R{number}",
                    "customer_id": renter,
                    "currency": chance.choice(["EUR", "EUR", "CHF"]),
                    "ordered_at": happened,
                    "updated_at": happened,
                    "product_id": chance.choice(["city bike", "tandem", "trailer"]),
                    "days": chance.randrange(1, 5),
                    "arrives_at": self.arrival(happened, late=chance.random() < 0.05),
                }
            )

    def arrival(self, happened: datetime, *, late: bool) -> datetime:
        """Return the Monday night of the load that brings a record, and three weeks later if it is late."""
        monday = datetime(2025, 1, 6, 4) + DAY * (7 * ((happened - datetime(2025, 1, 6, 4)).days // 7 + 1))
        begins, ends = self.outage
        arrives = max(monday, ends + timedelta(hours=4)) if begins <= monday < ends else monday
        return arrives + 21 * DAY if late else arrives

    def load(self, lake: Lake, after: datetime | None, until: datetime) -> None:
        """Bring all records that arrive until a time, a load a night; those of the first load are a backfill."""
        arrivals = sorted({one["arrives_at"] for one in self.orders if one["arrives_at"] <= until})
        nights = [until] if after is None else [night for night in arrivals if night > after]
        for night in nights:
            news = [
                one
                for one in self.orders
                if (one["arrives_at"] <= until if after is None else one["arrives_at"] == night)
            ]
            lines = [
                {"order_id": one["order_id"], "line_number": 1, "product_id": one["product_id"],
                 "quantity": one["days"], "unit_price": 20, "updated_at": one["ordered_at"]}
                for one in news
            ]  # fmt: skip
            kept = ("order_id", "customer_id", "currency", "ordered_at", "updated_at")
            lake.load(
                night,
                sales__orders=[{name: one[name] for name in kept} for one in news],
                sales__order_lines=lines,
            )


def known_labels(warehouse: Warehouse) -> dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]:
    """Return the labels that are known, by model and key; a label is null if and only if it is not known."""
    found = {}
    for model, key in LABELS.items():
        columns = [name for name, *_ in warehouse.rows(f"describe machine_learning.{model}")]
        label = columns[columns.index("label_state") + 1]
        rows = warehouse.rows(f"select {key}, {label}, label_known_at, label_state from machine_learning.{model}")
        assert all((state == "known") == (value is not None) == (at is not None) for *_, value, at, state in rows)
        found[model] = {tuple(row[:-3]): tuple(row[-3:-1]) for row in rows if row[-1] == "known"}
    return found


@pytest.mark.parametrize("seed", SEEDS_OF_LONG_TESTS)
def test_a_known_label_is_the_outcome_and_no_later_load_changes_it(seed: int, incremental: Warehouse) -> None:
    # Given a rental that is loaded each week, except in an outage
    rental, lake = Rental(seed), Lake()
    earlier: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]] = {model: {} for model in LABELS}
    before = None

    for until in (FIRST, datetime(2025, 9, 29), datetime(2025, 10, 27, 4), LAST):
        # When its loads are built
        rental.load(lake, before, until)
        if until in (FIRST, LAST):
            incremental.build(lake, "--select", *(f"+{model}" for model in (LABELS if until == FIRST else MODELS)))
        else:
            incremental.build_changed(lake, ("sales",), tuple(LABELS))
        known = known_labels(incremental)

        # Then each label that was known is as it was, and none is known of the time that the data had not reached
        for model, labels in earlier.items():
            assert {key: known[model].get(key) for key in labels} == labels, (model, until)
        assert all(at <= until + DAY for labels in known.values() for _, at in labels.values())
        earlier, before = known, until

    # And churn, value, demand and purchases are those that a second count finds in the orders that had arrived
    assert min(len(labels) for labels in earlier.values()) > 50
    for (renter, as_of), (churned, at) in earlier["label_customer_churn"].items():
        orders = arrived(rental, at, customer_id=renter, before=as_of + CHURN_DAYS * DAY)
        assert churned == (max(orders).date() <= as_of.date()), (renter, as_of)
    for (renter, currency, as_of), (value, at) in earlier["label_customer_value"].items():
        placed = [
            20 * one["days"]
            for one in rental.orders
            if one["customer_id"] == renter and one["currency"] == currency
            and as_of <= one["ordered_at"] < as_of + VALUE_DAYS * DAY and seen(one, at)
        ]  # fmt: skip
        assert value == sum(placed), (renter, currency, as_of)
    units: Counter[tuple[str, datetime]] = Counter()
    for product, as_of in earlier["label_product_demand"]:
        at = earlier["label_product_demand"][product, as_of][1]
        for one in rental.orders:
            if (
                one["product_id"] == product
                and as_of <= one["ordered_at"] < as_of + DEMAND_DAYS * DAY
                and seen(one, at)
            ):
                units[product, as_of] += one["days"]
    assert {key: value for key, (value, _) in earlier["label_product_demand"].items()} == {
        key: units[key] for key in earlier["label_product_demand"]
    }
    for (renter, product, as_of), (bought, at) in earlier["label_next_purchase"].items():
        placed = arrived(rental, at, customer_id=renter, product_id=product, before=as_of + NEXT_DAYS * DAY)
        assert bought == any(moment >= as_of for moment in placed), (renter, product, as_of)

    # And a row trains only if its label is known, once
    rows = incremental.rows("select customer_id, as_of, is_churned from machine_learning.train_customer_churn")
    assert sorted(rows) == sorted((*key, label) for key, (label, _) in earlier["label_customer_churn"].items())
    assert incremental.rows(
        "select count(*) from machine_learning.train_customer_churn where customer_days_since_last_order < 0"
    ) == [(0,)]
    assert incremental.rows("select count(*), min(as_of) from machine_learning.score_customer_churn")[0][0] > 10


def seen(order: Row, at: datetime) -> bool:
    """Return whether an order had arrived; the first load, a backfill, counts at the order's own time."""
    first = datetime(2025, 7, 7, 4)
    return bool((order["ordered_at"] if order["arrives_at"] <= first else order["arrives_at"]) < at)


def arrived(rental: Rental, at: datetime, before: datetime, **wanted: str) -> list[datetime]:
    return [
        one["ordered_at"]
        for one in rental.orders
        if all(one[name] == value for name, value in wanted.items()) and one["ordered_at"] < before and seen(one, at)
    ]
