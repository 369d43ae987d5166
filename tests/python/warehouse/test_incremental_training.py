"""Training sets that keep their rows equal those of a full refresh, whatever arrives, changes or is taken away."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

DAY = timedelta(days=1)
BEGIN = datetime(2025, 1, 6)
TRAINED = ("train_customer_churn", "train_customer_value", "train_next_purchase", "train_product_demand")
ONLY = ("--select", *(f"+{name}" for name in TRAINED))


class Kiosk:
    """A kiosk whose records come a week at a time, some late, some changed later, some as backfills or erased."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.now = BEGIN + 150 * DAY
        self.orders = 0
        self.load(BEGIN, 150, 400)

    def load(self, since: datetime, days: int, number: int, *, backfill: bool = False) -> None:
        """Load orders of these days, and customers, products and visits with them."""
        orders = [self.order(since + self.random.random() * days * DAY) for _ in range(number)]
        lines = [
            {"order_id": one["order_id"], "line_number": 1, "product_id": f"P{self.random.randint(1, 6)}",
             "quantity": self.random.randint(1, 3), "unit_price": 5, "updated_at": one["updated_at"]}
            for one in orders
        ]  # fmt: skip
        extra = {"_is_backfill": True} if backfill else {}
        self.lake.load(
            self.now,
            sales__orders=[{**one, **extra} for one in orders],
            sales__order_lines=[{**one, **extra} for one in lines],
            crm__customers=[self.customer() for _ in range(3)],
            shop__products=[self.product() for _ in range(2)],
        )

    def order(self, at: datetime) -> Row:
        self.orders += 1
        number = self.orders if self.random.random() < 0.9 else self.random.randint(1, self.orders)
        return {
            "order_id": f"O{number}",
            "customer_id": f"C{self.random.randint(1, 25)}",
            "currency": self.random.choice(["EUR", "EUR", "CHF"]),
            "status": self.random.choice([None, None, None, "cancelled", "returned"]),
            "ordered_at": at,
            "updated_at": at,
        }

    def customer(self) -> Row:
        return {
            "customer_id": f"C{self.random.randint(1, 25)}",
            "country": self.random.choice(["GB", "DE"]),
            "updated_at": self.now - self.random.random() * 90 * DAY,
            "_deleted": self.random.random() < 0.1,
        }

    def product(self) -> Row:
        return {
            "product_id": f"P{self.random.randint(1, 6)}",
            "category": self.random.choice(["drinks", "sweets"]),
            "updated_at": self.now - self.random.random() * 90 * DAY,
        }

    def go_on(self) -> None:
        """Let one to four weeks go by; then records arrive, some late, some of old times, or some are erased."""
        weeks = self.random.randint(1, 4)
        before, self.now = self.now, self.now + 7 * weeks * DAY
        self.load(before, 7 * weeks, 25 * weeks)
        happening = self.random.choice(["late", "backfill", "erasure", "nothing"])
        if happening in ("late", "backfill"):
            self.load(BEGIN, 100, 3, backfill=happening == "backfill")
        elif happening == "erasure":
            erased = f"C{self.random.randint(1, 25)}"
            rows = [row for row in self.lake.arrived["sales.orders"] if row["customer_id"] != erased]
            self.lake.rewrite("sales.orders", rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_kept_rows_equal_a_full_refresh(seed: int, incremental: Warehouse, full: Warehouse) -> None:
    # Given a kiosk with four training sets
    kiosk = Kiosk(seed)
    incremental.build(kiosk.lake, *ONLY)

    for day in range(2 if seed == 0 else 6):
        # When weeks go by, with late records, backfills and erasures
        kiosk.go_on()
        incremental.build(kiosk.lake, *ONLY)

        # Then the training sets equal those that are built from nothing
        if day % 2 == 1:
            full.build(kiosk.lake, "--full-refresh", *ONLY)
            assert incremental.differences(full) == {}


def test_a_training_set_without_rows_gets_its_first_ones(incremental: Warehouse, full: Warehouse) -> None:
    # Given a kiosk too young for labels of churn, though its orders are events of features
    kiosk = Kiosk(1)
    kiosk.lake = Lake()
    kiosk.now = BEGIN + 20 * DAY
    kiosk.load(BEGIN, 20, 20)
    only = ("--select", "+train_customer_churn")
    incremental.build(kiosk.lake, *only)
    assert incremental.rows("select count(*) from machine_learning.train_customer_churn") == [(0,)]

    # When the labels of half a year follow
    kiosk.now = BEGIN + 200 * DAY
    kiosk.load(BEGIN + 20 * DAY, 180, 300, backfill=True)
    incremental.build(kiosk.lake, *only)

    # Then the rows are those of a full refresh
    full.build(kiosk.lake, "--full-refresh", *only)
    assert incremental.rows("select count(*) from machine_learning.train_customer_churn") != [(0,)]
    assert incremental.differences(full) == {}


def marked(warehouse: Warehouse, action: Callable[[], None]) -> tuple[set[str], set[str]]:
    """Return the customers all of whose rows were built again by an action, and those of whom all were kept."""
    table = "machine_learning.train_customer_churn"
    with warehouse.connect() as connection:
        connection.execute(f"update {table} set customer__order_count_30d = 999")
    action()
    found = warehouse.rows(
        f"select customer_id, bool_or(customer__order_count_30d = 999), bool_and(customer__order_count_30d = 999) "
        f"from {table} group by customer_id"
    )
    return {name for name, some, _ in found if not some}, {name for name, _, every in found if every}


def test_a_row_is_kept_until_something_changes_that_it_knew(incremental: Warehouse) -> None:
    # Given a training set of a kiosk
    kiosk = Kiosk(1)
    only = ("--select", "+train_customer_churn")
    incremental.build(kiosk.lake, *only)
    arrived = kiosk.lake.arrived["sales.orders"]
    old = min(arrived, key=lambda row: row["ordered_at"])
    order = {"ordered_at": old["ordered_at"], "updated_at": old["ordered_at"], "currency": "EUR", "status": None}

    def build_with(customer: str, number: str, **extra: bool) -> None:
        kiosk.now += DAY
        kiosk.lake.load(kiosk.now, sales__orders=[{**order, "order_id": number, "customer_id": customer, **extra}])
        incremental.build(kiosk.lake, *only)

    # When an order arrives late, then every row is kept: none of them could know it
    again, kept = marked(incremental, lambda: build_with("C3", "late"))
    assert not again
    assert len(kept) > 10

    # When one is a backfill, then the rows of its customer are built again, and no others
    again, kept = marked(incremental, lambda: build_with("C3", "backfill", _is_backfill=True))
    assert again == {"C3"}
    assert len(kept) > 10

    # When a customer is erased, then no row of the others is built again
    rows = [row for row in kiosk.lake.arrived["sales.orders"] if row["customer_id"] != "C5"]

    def erase() -> None:
        kiosk.lake.rewrite("sales.orders", rows)
        incremental.build(kiosk.lake, *only)

    again, kept = marked(incremental, erase)
    assert "C5" not in again | kept
    assert len(again) < 3
    assert len(kept) > 10


def test_a_training_set_that_reads_more_than_its_spine_is_refused(incremental: Warehouse) -> None:
    # Given an incremental training model that joins a table to its features
    manifest = incremental.manifest.deepcopy()
    node = manifest.nodes["model.ml_warehouse.train_product_demand"]
    node.raw_code = node.raw_code.replace(
        "train_product_demand as (\n", "train_product_demand as (\n\n    -- {{ ref('dim_holiday') }}\n"
    )
    incremental.manifest = manifest

    # When it is built, then the error says what to do
    result = incremental.dbt(
        Lake(), "build", "--resource-type", "model", "--resource-type", "seed", "--select", "+train_product_demand"
    )
    (failed,) = [one for one in result.result if one.status == "error"]
    assert "reads dim_holiday beside its features" in failed.message
