"""A shop with every irregularity, for tests of incremental builds."""

import random
from datetime import datetime, timedelta

from support.lake_by_hand import Lake, Row

NOON = datetime(2026, 3, 1, 12)


class Chance:
    """A shop with every irregularity; the same seed gives the same shop."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = NOON
        self.lake = Lake()

    def load(self) -> None:
        """Add a batch to some tables; the clock may go back between batches."""
        self.clock += timedelta(hours=self.random.randint(-30, 48))
        batches = {
            "crm__customers": self.customer,
            "shop__products": self.product,
            "sales__orders": self.order,
            "sales__order_lines": self.line,
        }
        tables = self.random.sample(list(batches), self.random.randint(2, 4))
        self.lake.load(
            self.clock,
            **{table: [batches[table]() for _ in range(self.random.randint(1, 25))] for table in tables},
        )
        if self.random.random() < 0.2:
            self.rewrite(self.random.choice(list(self.lake.arrived)))

    def rewrite(self, table: str) -> None:
        """Remove a part of a table's history, like an erasure or a rebuilt lake."""
        rows = self.lake.arrived[table]
        self.lake.rewrite(table, [row for row in rows if self.random.random() < 0.7])

    def state(self, key: Row, attributes: Row) -> Row:
        """Return a tombstone, or a state; its time may be missing, equal to another one, or long past."""
        if self.random.random() < 0.15:
            return {**key, "_deleted": True}
        updated_at = None if self.random.random() < 0.15 else self.time()
        return {**key, **attributes, "updated_at": updated_at}

    def time(self) -> datetime:
        return NOON + timedelta(hours=6 * self.random.randint(-8, 8))

    def customer(self) -> Row:
        return self.state(
            {"customer_id": f"C{self.random.randint(1, 6)}"},
            {"city": self.random.choice(["Leeds", "Derby", None]), "country": "GB"},
        )

    def product(self) -> Row:
        return self.state(
            {"product_id": f"P{self.random.randint(1, 5)}"},
            {"product_name": self.random.choice(["Lamp", "Vase"]), "category": self.random.choice(["a", "b", None])},
        )

    def order(self) -> Row:
        return self.state(
            {"order_id": f"O{self.random.randint(1, 30)}"},
            {
                "customer_id": self.random.choice([None, *(f"C{n}" for n in range(1, 9))]),
                "ordered_at": self.time(),
                "status": self.random.choice(["placed", "cancelled", "returned", None]),
                "channel": self.random.choice(["web", "store", None]),
                "currency": self.random.choice(["GBP", "EUR", None]),
            },
        )

    def line(self) -> Row:
        return self.state(
            {"order_id": f"O{self.random.randint(1, 33)}", "line_number": self.random.randint(1, 2)},
            {
                "product_id": f"P{self.random.randint(1, 7)}",
                "quantity": self.random.randint(-2, 4),
                "unit_price": self.random.randint(0, 9),
                "discount_amount": self.random.choice([None, 0, 1]),
            },
        )
