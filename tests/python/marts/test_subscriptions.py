"""A café with a coffee subscription: each month shows what was known of plan, pause, end and charges."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

ONLY = ("--select", "+subscription_months")
MART = "select {} from growth.subscription_months where {} order by subscription_id, month_end_date"
LABEL = "churn_label_status, churns_within_horizon"
CLOSED = f"subscription_id, month_end_date, columns(* exclude (subscription_id, month_end_date, {LABEL})), {LABEL}"
CLOSE_DAYS, HORIZON_DAYS, BOOKING_DAYS = 15, 30, 7


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}")


def state(name: str, booked: datetime, **changed: Any) -> Row:
    return {
        "subscription_id": name,
        "customer_id": "C1",
        "plan": "a cup a day",
        "status": "active",
        "monthly_amount": 40,
        "currency": "EUR",
        "contract_months": 1,
        "billing_interval_months": 1,
        "started_at": at("01-10"),
        "updated_at": booked,
        **changed,
    }


def charge(number: int, name: str, amount: int, charged: datetime, currency: str | None = None) -> Row:
    return {
        "charge_id": f"B{number}",
        "subscription_id": name,
        "amount": amount,
        "charged_at": charged,
        "currency": currency,
    }


def make_cafe() -> Lake:
    """Five subscriptions: one changes its plan, one pauses, one ends and returns, one is of another currency."""
    start = at("01-10")
    lake = Lake()
    lake.load(
        at("12-20"),
        crm__customers=[{"customer_id": "C1", "city": "Wien", "updated_at": start}],
        sales__subscriptions=[
            state("plan", start),
            state("plan", at("03-05"), plan="two cups a day", monthly_amount=70, contract_months=12),
            state("pause", start),
            state("pause", at("02-20"), status="paused"),
            state("pause", at("04-02"), status="active"),
            # The end of 28 February is booked on 3 March, and announced ends are booked before they come
            state("end", start),
            state("end", at("03-03"), status="ended", ended_at=at("02-28"), end_reason="moved"),
            state("end", at("06-15"), status="active"),
            state("end", at("08-01"), ended_at=at("09-30")),
            state("franc", start, currency="CHF"),
            # The source keeps the last state only: it was changed when the end was booked
            state("last", at("05-04"), status="ended", ended_at=at("04-30")),
        ],
        sales__subscription_charges=[
            *(charge(month, "plan", 40 if month < 3 else 70, at(f"0{month}-11")) for month in range(1, 7)),
            charge(7, "plan", -70, at("06-20")),
            charge(8, "plan", 5, at("06-21"), "CHF"),
            charge(9, "franc", 40, at("02-01")),
            charge(10, "franc", 40, at("12-19")),
        ],
    )
    return lake


def test_each_month_is_as_worked_out_by_hand(incremental: Warehouse) -> None:
    # Given the subscriptions, when they are built
    incremental.build(make_cafe(), *ONLY)

    def months(name: str, columns: str, until: str = "2026-12-31") -> list[tuple[Any, ...]]:
        return incremental.rows(MART.format(f"month(month_end_date), {columns}",
                                            f"subscription_id = '{name}' and month_end_date <= '{until}'"))  # fmt: skip

    # Then a plan counts from its booking, and charges of another currency are not added
    columns = "plan, contract_months, monthly_amount, charged_in_month_amount, total_charged_amount, tenure_months"
    assert months("plan", columns, "2026-07-31") == [
        (1, "a cup a day", 1, 40, 40, 40, 0),
        (2, "a cup a day", 1, 40, 40, 80, 1),
        (3, "two cups a day", 12, 70, 70, 150, 2),
        (4, "two cups a day", 12, 70, 70, 220, 3),
        (5, "two cups a day", 12, 70, 70, 290, 4),
        (6, "two cups a day", 12, 70, 0, 290, 5),
        (7, "two cups a day", 12, 70, 0, 290, 6),
    ]
    assert months("franc", "currency, total_charged_amount", "2026-03-31") == [
        (1, "CHF", 0), (2, "CHF", 40), (3, "CHF", 40)]  # fmt: skip

    # And a pause brings nothing, and is no end
    assert months("pause", "is_active, is_churned, monthly_recurring_amount", "2026-04-30") == [
        (1, True, False, 40), (2, False, False, 0), (3, False, False, 0), (4, True, False, 40)]  # fmt: skip

    # And an end counts from its booking; rows begin again with the return, and an announced end is known before
    assert months("end", "is_active, is_churned, ended_at, end_reason") == [
        (1, True, False, None, None),
        (2, True, False, None, None),
        (3, False, True, at("02-28"), "moved"),
        (6, True, False, None, None),
        (7, True, False, None, None),
        (8, True, False, at("09-30"), None),
        (9, False, True, at("09-30"), None),
    ]
    assert months("last", "is_active, is_churned, ended_at") == [
        *((month, True, False, None) for month in (1, 2, 3, 4)), (5, False, True, at("04-30"))]  # fmt: skip


def test_a_label_counts_ends_within_thirty_days_and_waits_for_their_booking(incremental: Warehouse) -> None:
    # Given the subscriptions, whose books end on 19 December, when they are built
    incremental.build(make_cafe(), *ONLY)
    labels = incremental.rows(MART.format(f"subscription_id, month(month_end_date), {LABEL}", "true"))
    known = {(name, month): (status, label) for name, month, status, label in labels}

    # Then January looks up to 2 March, which does include 28 February; its booking came by 9 March
    assert [known["end", month] for month in (1, 2, 3)] == [("mature", True), ("mature", True), ("ended", None)]
    # And 31 July looks up to 30 August, before the announced end; 31 August looks up to 30 September
    assert [known["end", month] for month in (7, 8, 9)] == [("mature", False), ("mature", True), ("ended", None)]
    # And the label of October is known on 7 December, a month that is not closed; a pause is no churn
    assert {known["pause", month] for month in range(1, 10)} == {("mature", False)}
    assert {known["pause", month] for month in (10, 11)} == {("too recent", None)}


def test_a_later_load_does_not_change_a_closed_month(incremental: Warehouse) -> None:
    # Given the subscriptions, and their closed months
    lake = make_cafe()
    incremental.build(lake, *ONLY)
    before = incremental.rows(MART.format(CLOSED, "is_final"))
    assert len(before) > 25

    # When a later load books an old end, an old plan, an old charge and an old subscription, and deletes one
    lake.load(
        datetime(2027, 1, 20),
        sales__subscriptions=[
            state("plan", at("06-05"), plan="two cups a day", status="ended", ended_at=at("06-01")),
            state("pause", at("01-20"), plan="beans", monthly_amount=99),
            state("new", at("01-10")),
            {**state("franc", at("01-10")), "_deleted": True},
        ],
        sales__subscription_charges=[charge(11, "plan", 1000, at("05-01")), charge(12, "end", 1, datetime(2027, 2, 2))],
    )
    incremental.build(lake, *ONLY)

    # Then no closed month has changed or come up, apart from labels that have become known
    last = max(row[1] for row in before)
    after = incremental.rows(MART.format(CLOSED, f"month_end_date <= '{last}'"))
    assert [row[:-2] for row in after] == [row[:-2] for row in before]
    assert {was[-2:] for was, now in zip(before, after, strict=True) if was[-2:] != now[-2:]} == {("too recent", None)}

    # And the load counts from its own month
    now = "subscription_id, plan, is_churned, total_charged_amount"
    assert incremental.rows(MART.format(now, "month_end_date = '2027-01-31'")) == [
        ("new", "a cup a day", False, 0),
        ("pause", "a cup a day", False, 0),
        ("plan", "two cups a day", True, 1290),
    ]


class Cafe:
    """Subscriptions that change, pause, end, return and are booked late, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.clock = at("04-01")
        self.charges = 0

    def load(self) -> None:
        self.clock += timedelta(days=self.random.randint(20, 70))
        self.lake.load(
            self.clock,
            sales__subscriptions=[self.state() for _ in range(8)],
            sales__subscription_charges=[self.charge() for _ in range(6)],
        )

    def booked(self) -> datetime:
        return self.clock - timedelta(hours=self.random.choice([6, 30, 300, 900, 2500]) + self.random.randint(0, 5))

    def state(self) -> Row:
        number = self.random.randint(1, 4)
        return state(
            f"S{number}",
            self.booked(),
            started_at=datetime(2026, 1, number),
            plan=self.random.choice(["cup", "beans"]),
            currency=self.random.choice(["EUR", "EUR", "CHF"]),
            status=self.random.choice(["active", "active", "paused"]),
            ended_at=self.random.choice([None, None, self.booked() + timedelta(days=self.random.choice([-9, 0, 40]))]),
        )

    def charge(self) -> Row:
        self.charges += 1
        name, currency = f"S{self.random.randint(1, 4)}", self.random.choice(["EUR", "CHF"])
        return charge(self.charges, name, self.random.choice([40, 40, -10]), self.booked(), currency)


def known_at(row: Row, own: datetime) -> datetime:
    """Return since when the books knew a record: its own time, or its arrival after the month was closed."""
    month_end = (own.replace(day=1) + timedelta(days=32)).replace(day=1).date() - timedelta(days=1)
    in_time = row["_is_backfill"] or row["_loaded_at"].date() <= month_end + timedelta(days=CLOSE_DAYS)
    return own if in_time else row["_loaded_at"]


def state_on(lake: Lake, name: str, day: date) -> Row | None:
    """Return the state of a subscription that the books had at the end of a day, from the rows that arrived."""
    rows = [row for row in lake.arrived["sales.subscriptions"] if row["subscription_id"] == name]
    rows.sort(key=lambda row: (row["updated_at"], row["_batch"], row["_row"]))
    first = next((row for row in rows if row["_is_backfill"]), None)
    now = None
    for row in rows:
        if row is first and row["started_at"].date() <= day:
            now = {**row, "status": "active", "ended_at": None}
        if known_at(row, row["updated_at"]).date() <= day:
            now = row
    return now


def recount(lake: Lake, name: str, day: date) -> Row:
    """Return what a month's end says of a subscription; the label as if its day had come."""
    now = state_on(lake, name, day)
    assert now
    ended = bool(now["ended_at"] and now["ended_at"].date() <= day)
    later = state_on(lake, name, day + timedelta(days=HORIZON_DAYS + BOOKING_DAYS))
    return {
        "plan": now["plan"],
        "currency": now["currency"],
        "ended_at": now["ended_at"],
        "is_active": not ended and now["status"] == "active",
        "is_churned": ended,
        "total_charged_amount": sum(
            Decimal(row["amount"])
            for row in lake.arrived["sales.subscription_charges"]
            if row["subscription_id"] == name
            and row["currency"] == now["currency"]
            and known_at(row, row["charged_at"]).date() <= day
        ),
        "churns": bool(later and later["ended_at"] and later["ended_at"].date() <= day + timedelta(days=HORIZON_DAYS)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_month_equals_a_recount_and_later_loads_change_no_closed_one(
    seed: int, incremental: Warehouse, full: Warehouse
) -> None:
    # Given subscriptions with states in any order, when they are built after each load
    cafe = Cafe(seed)
    closed: dict[tuple[str, date], tuple[Any, ...]] = {}
    labels = set()
    for _ in range(3 if seed == 0 else 5):
        cafe.load()
        incremental.build(cafe.lake, *ONLY)
        name = cafe.lake.arrived["sales.subscriptions"][0]["subscription_id"]
        columns = list(recount(cafe.lake, name, date(2027, 12, 31)))[:-1]
        rows = incremental.rows(MART.format(", ".join(["subscription_id", "month_end_date", *columns, LABEL]), "true"))

        # Then each month is that of a recount of the rows that had arrived, and so is each known label
        for name, day, *values, status, churns in rows:
            expected = recount(cafe.lake, name, day)
            label = expected.pop("churns")
            assert (name, day, dict(zip(columns, values, strict=True))) == (name, day, expected)
            assert churns == (label if status == "mature" else None)
            labels.add(churns)

        # And a closed month is as it was before the load, with its label if that was known
        for row in incremental.rows(MART.format(CLOSED, "is_final")):
            was = closed.get(row[:2], row)
            assert row[:-2] == was[:-2]
            assert was[-2:] in (row[-2:], ("too recent", None))
            closed[row[:2]] = row

    # And it equals a warehouse that is built from nothing
    full.build(cafe.lake, "--full-refresh", *ONLY)
    assert incremental.differences(full) == {}
    assert len(closed) > 5
    assert None in labels
