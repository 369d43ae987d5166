"""Loans of a hardware store: a month that is closed stays as the books knew it, whatever a later load brings."""

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

ONLY = ("--select", "+credit_histories", "+fct_loan_instalments")
MART = "select {} from finance.credit_histories where {} order by loan_id, month_end_date"
OPENED = datetime(2026, 1, 5, 9)


def loan(name: str, booked: datetime, **changed: Any) -> Row:
    return {
        "loan_id": name,
        "customer_id": "C1",
        "principal": 400,
        "currency": "CAD",
        "term_months": 4,
        "annual_rate_pct": 12,
        "opened_at": OPENED,
        "updated_at": booked,
        **changed,
    }


def instalment(name: str, number: int, booked: datetime, paid: int = 0, **changed: Any) -> Row:
    """Return an instalment of 100, due on the 5th of the number's month after January."""
    return {
        "loan_id": name,
        "instalment_number": number,
        "due_date": date(2026, number + 1, 5),
        "due_amount": 100,
        "paid_amount": paid,
        "paid_at": booked if paid else None,
        "updated_at": booked,
        **changed,
    }


def make_store() -> Lake:
    """Two loans: one is paid, of the other the books have the last state only, with a default that was booked later."""
    lake = Lake()
    lake.load(
        datetime(2026, 6, 20),
        lending__loans=[
            loan("paid", OPENED),
            loan("lost", datetime(2026, 5, 4), annual_rate_pct=0, defaulted_at=datetime(2026, 3, 20)),
        ],
        lending__repayments=[
            *(instalment(name, number, OPENED) for name in ("paid", "lost") for number in range(1, 5)),
            *(instalment("paid", number, datetime(2026, number + 1, 4), 100) for number in range(1, 5)),
            instalment("paid", 4, datetime(2026, 6, 18)),
        ],
    )
    return lake


def test_a_default_counts_from_its_booking_and_first_terms_say_when_they_were_known(incremental: Warehouse) -> None:
    # Given a default of 20 March that was booked on 4 May; when the months are built
    incremental.build(make_store(), *ONLY)
    lost = incremental.rows(MART.format("month(month_end_date), is_defaulted, terms_known_at", "loan_id = 'lost'"))

    # Then March and April did not know of it, and all months say that their terms are those of 4 May
    assert lost == [(month, month == 5, datetime(2026, 5, 4)) for month in range(1, 6)]


def test_a_later_load_does_not_change_a_closed_month(incremental: Warehouse) -> None:
    # Given the store's closed months
    lake = make_store()
    incremental.build(lake, *ONLY)
    before = incremental.rows(MART.format("*", "is_final"))
    assert {row[-1].month for row in before} == {1, 2, 3, 4, 5}

    # When a load of July books an old payment, an old correction, an old default, an older plan and an old loan,
    # and when a full copy no longer has the paid loan
    late = datetime(2026, 2, 1)
    lake.load(
        datetime(2026, 7, 20),
        lending__loans=[
            loan("lost", late, principal=999, currency="USD", customer_id="C9"),
            loan("paid", late, defaulted_at=late),
            loan("old", OPENED),
            {**loan("paid", late), "_deleted": True},
        ],
        lending__repayments=[
            instalment("lost", 1, datetime(2026, 2, 4), 100),
            instalment("lost", 2, datetime(2026, 3, 4), due_amount=50),
            instalment("lost", 5, OPENED, due_date=date(2026, 2, 20)),
            *(instalment("old", number, OPENED) for number in range(1, 5)),
        ],
    )
    incremental.build(lake, *ONLY)
    lake.load(datetime(2026, 8, 25), lending__repayments=[instalment("old", 1, datetime(2026, 8, 20), 100)])
    incremental.build(lake, *ONLY)

    # Then no closed month has changed, come up or gone
    assert incremental.rows(MART.format("*", "month_end_date <= '2026-05-31'")) == before

    # And July knows what the load brought: the payment is overtaken by no other state, and the plan is longer
    july = "loan_id, paid_to_date_amount, due_to_date_amount, instalment_count, principal_amount"
    assert incremental.rows(MART.format(july, "month_end_date = '2026-07-31'")) == [
        ("lost", 100, 450, 5, 400),
        ("old", 0, 400, 4, 400),
    ]


class Store:
    """Loans and instalments that change, bounce and are booked late, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.clock = datetime(2026, 4, 1)

    def load(self) -> None:
        self.clock += timedelta(days=self.random.randint(20, 70))
        self.lake.load(
            self.clock,
            lending__loans=[self.loan() for _ in range(3)],
            lending__repayments=[self.instalment() for _ in range(25)],
        )

    def booked(self) -> datetime:
        return self.clock - timedelta(hours=self.random.choice([6, 30, 300, 900, 2500]) + self.random.randint(0, 5))

    def loan(self) -> Row:
        return loan(
            f"L{self.random.randint(1, 4)}",
            self.booked(),
            principal=self.random.choice([400, 500]),
            defaulted_at=self.random.choice([None, None, self.booked()]),
            currency=self.random.choice(["CAD", "CAD", "USD"]),
            _deleted=self.random.random() < 0.1,
        )

    def instalment(self) -> Row:
        return instalment(
            f"L{self.random.randint(1, 4)}",
            self.random.randint(1, 6),
            self.booked(),
            self.random.choice([0, 0, 40, 100]),
            due_amount=self.random.choice([100, 100, 60]),
            _deleted=self.random.random() < 0.05,
        )


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_no_load_in_any_order_changes_a_closed_month(seed: int, incremental: Warehouse, full: Warehouse) -> None:
    # Given loans with states in any order, when they are built after each load
    store = Store(seed)
    closed: dict[tuple[str, date], tuple[Any, ...]] = {}
    for _ in range(3 if seed == 0 else 5):
        store.load()
        incremental.build(store.lake, *ONLY)

        # Then each closed month is as it was, and none has gone or come up
        rows = {(row[0], row[-1]): row for row in incremental.rows(MART.format("*", "is_final"))}
        known = max((day for _, day in closed), default=date(2025, 1, 1))
        assert {key: row for key, row in rows.items() if key[1] <= known} == closed
        closed = rows

    # And it equals a warehouse that is built from nothing
    full.build(store.lake, "--full-refresh", *ONLY)
    assert incremental.differences(full) == {}
    assert len(closed) > 5
