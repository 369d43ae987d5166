"""Payments in any order of arrival, and later changes of customers: an incremental build equals a full refresh."""

import random
from datetime import datetime, timedelta

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
ONLY = ("--select", "+train_payment_fraud", "+score_payment_fraud")


class Payments:
    """Payments and chargebacks that arrive repeated, late and before each other, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()

    def load(self) -> None:
        """Add a batch to each table; sometimes remove a part of a table's history."""
        self.lake.load(
            NOON + timedelta(hours=self.random.randint(-50, 50)),
            crm__customers=[self.customer() for _ in range(3)],
            payments__transactions=[self.payment() for _ in range(15)],
            payments__chargebacks=[self.chargeback() for _ in range(4)],
        )
        if self.random.random() < 0.3:
            rows = self.lake.arrived["payments.transactions"]
            self.lake.rewrite("payments.transactions", [row for row in rows if self.random.random() < 0.7])

    def time(self) -> datetime:
        return NOON + timedelta(hours=6 * self.random.randint(-200, 200))

    def customer(self) -> Row:
        return {
            "customer_id": f"C{self.random.randint(1, 4)}",
            "city": self.random.choice(["Leeds", "Derby"]),
            "updated_at": self.random.choice([None, self.time()]),
            "_deleted": self.random.random() < 0.1,
        }

    def payment(self) -> Row:
        number = self.random.randint(1, 40)
        return {
            "transaction_id": f"T{number}",
            "customer_id": self.random.choice([None, "C1", "C2", "C5"]),
            "card_id": self.random.choice([None, "K1", "K2"]),
            "terminal_id": self.random.choice([None, "S1"]),
            "device_id": self.random.choice([None, "D1", "D2"]),
            "country": self.random.choice([None, "DE", "JP"]),
            "currency": self.random.choice([None, "EUR", "JPY"]),
            "amount": self.random.choice([-5, 10, 20]),
            "transacted_at": self.time(),
        }

    def chargeback(self) -> Row:
        return {
            "transaction_id": f"T{self.random.randint(1, 45)}",
            "reason": self.random.choice([None, "fraud", "duplicate"]),
            "reported_at": self.time(),
        }


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_payments_built_incrementally_equal_a_full_refresh(seed: int, incremental: Warehouse, full: Warehouse) -> None:
    # Given payments that arrive in any order
    payments = Payments(seed)

    # When one warehouse is built after every load
    for load in range(4):
        payments.load()
        incremental.build(payments.lake, *ONLY)

        # Then it equals a warehouse that is built from nothing
        if load % 2 == 1:
            full.build(payments.lake, "--full-refresh", *ONLY)
            assert incremental.differences(full) == {}
            assert incremental.rows("select count(*) > 5 from machine_learning.label_payment_fraud") == [(True,)]
