"""Payments in any order of arrival, and later changes of customers: an incremental build equals a full refresh."""

import random
from datetime import datetime, timedelta

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
ONLY = ("--select", "+payment_risk_features", "+payment_fraud_labels")


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
            assert incremental.rows("select count(*) > 10 from core.fct_payments") == [(True,)]


def pay(name: str, card: str, day: int, amount: int = 10) -> Row:
    """Return a payment by card; each card has a device and a terminal of its own."""
    return {
        "transaction_id": name,
        "card_id": card,
        "terminal_id": f"S-{card}",
        "device_id": f"D-{card}",
        "country": "DE",
        "currency": "EUR",
        "amount": amount,
        "transacted_at": NOON + timedelta(days=day),
    }


def test_a_late_payment_rebuilds_only_the_later_payments_of_its_card(incremental: Warehouse) -> None:
    # Given payments of two cards, with a mark on every row of features
    lake = Lake()
    lake.load(NOON, payments__transactions=[pay(f"{card}{day}", card, day) for card in ("A", "B") for day in (1, 5, 9)])
    incremental.build(lake, *ONLY)
    with incremental.connect() as warehouse:
        warehouse.execute("update risk.payment_risk_features set card_payment_count = 99")

    # When a payment of the first card arrives late, and a future one of the second
    lake.load(NOON + timedelta(days=10), payments__transactions=[pay("late", "A", 3), pay("future", "B", 40)])
    incremental.build(lake, *ONLY)

    # Then the later payments of these cards lose the mark, and the others keep it
    found = dict(incremental.rows("select transaction_id, card_payment_count from risk.payment_risk_features"))
    assert found == {"A1": 99, "late": 1, "A5": 2, "A9": 3, "B1": 99, "B5": 99, "B9": 99, "future": 3}

    # And after a report of fraud, only the later payments at its terminal do
    with incremental.connect() as warehouse:
        warehouse.execute("update risk.payment_risk_features set card_payment_count = 99")
    lake.load(
        NOON + timedelta(days=4),
        payments__chargebacks=[{"transaction_id": "A1", "reason": "fraud", "reported_at": NOON + timedelta(days=2)}],
    )
    incremental.build(lake, *ONLY)
    found = dict(incremental.rows("select transaction_id, card_payment_count from risk.payment_risk_features"))
    assert [name for name, count in sorted(found.items()) if count != 99] == ["A5", "A9"]
