"""A bank with credit cards: its histories show each month as the books knew it, whatever arrives later."""

import random
from calendar import monthrange
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

ONLY = ("--select", "+revolving_credit_histories")
MART = "select {} from finance.revolving_credit_histories where {} order by account_id, month_end_date"
LABEL = "default_label_status, defaults_within_horizon"
CLOSED = f"account_id, month_end_date, columns(* exclude (account_id, month_end_date, {LABEL})), {LABEL}"
CLOSE_DAYS = 15


def end_of_month(year: int, month: int) -> date:
    return date(year, month, monthrange(year, month)[1])


def line(account: str, *, at: datetime, **changed: Any) -> Row:
    return {
        "account_id": account,
        "customer_id": "C1",
        "currency": "SEK",
        "credit_limit": 1000,
        "opened_at": at,
        "updated_at": at,
        **changed,
    }


def statement(account: str, month: int, balance: int, minimum: int | None, paid: int | None = None,
              **changed: Any) -> Row:  # fmt: skip
    """Return the statement of the 10th of a month in 2026, due on the 28th; the books have it the same day at noon."""
    return {
        "account_id": account,
        "statement_date": date(2026, month, 10),
        "due_date": date(2026, month, 28),
        "balance": balance,
        "minimum_due": minimum,
        "paid_amount": paid,
        "updated_at": datetime(2026, month, 10, 12),
        **changed,
    }


def paid(account: str, month: int, balance: int, minimum: int, amount: int, at: datetime) -> Row:
    return statement(account, month, balance, minimum, amount, paid_at=at, updated_at=at)


def make_bank() -> Lake:
    """Four cards: one is paid late, one falls into default, one is paid and closed, one is of another currency."""
    opened = datetime(2026, 1, 5, 9)
    lake = Lake()
    lake.load(
        datetime(2026, 12, 20),
        crm__customers=[{"customer_id": "C1", "city": "Lund", "updated_at": opened}],
        lending__credit_lines=[
            line("late", at=opened),
            line("late", at=datetime(2026, 4, 2), opened_at=opened, credit_limit=2000),
            line("lost", at=opened),
            line("lost", at=datetime(2026, 8, 3), opened_at=opened, defaulted_at=datetime(2026, 7, 30)),
            line("paid", at=opened),
            line("paid", at=datetime(2026, 3, 20), opened_at=opened, closed_at=datetime(2026, 3, 20)),
            line("other", at=datetime(2026, 11, 2), currency="NOK", credit_limit=0),
        ],
        lending__statements=[
            # Paid in full on 3 March only; the next one in part, above its minimum
            statement("late", 2, 300, 30),
            paid("late", 2, 300, 30, 300, datetime(2026, 3, 3)),
            statement("late", 3, 500, 50),
            paid("late", 3, 500, 50, 60, datetime(2026, 3, 25)),
            # The minimum grows by what is overdue, and nothing is ever paid
            *(statement("lost", month, 400 + 10 * month, 40 * (month - 1)) for month in range(2, 8)),
            statement("paid", 2, 200, 20),
            paid("paid", 2, 200, 20, 200, datetime(2026, 2, 15)),
            statement("other", 12, -50, 0),
        ],
    )
    return lake


def test_each_month_has_limit_balance_and_status_as_worked_out_by_hand(incremental: Warehouse) -> None:
    # Given the cards, when they are built
    incremental.build(make_bank(), *ONLY)
    columns = (
        "strftime(month_end_date, '%m-%d'), limit_amount, balance_amount, utilisation_pct, paid_in_month_amount, "
        "overdue_amount, payment_status, worst_payment_status_3_months, days_past_due, arrears_bucket"
    )

    # Then the late card was not late on its last day to pay, paid 360 in March, and has a new limit in April
    late = incremental.rows(MART.format(columns, "account_id = 'late' and month_end_date < '2026-06-01'"))
    assert late == [
        ("01-31", 1000, None, None, 0, 0, None, None, None, None),
        ("02-28", 1000, 300, 30.0, 0, 0, 0, 0, 0, "current"),
        ("03-31", 1000, 500, 50.0, 360, 0, 0, 0, 0, "current"),
        ("04-30", 2000, 500, 25.0, 0, 0, 0, 0, 0, "current"),
        ("05-31", 2000, 500, 25.0, 0, 0, 0, 0, 0, "current"),
    ]

    # And the lost card counts its days from 28 February; what is overdue is in the last minimum that is due
    until_august = "account_id = 'lost' and month_end_date < '2026-09-01'"
    lost = incremental.rows(MART.format(columns + ", is_defaulted", until_august))
    assert [row[0] for row in lost] == ["01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31"]
    assert [row[5:9] for row in lost] == [
        (0, None, None, None),
        (0, 0, 0, 0),
        (80, 2, 2, 31),
        (120, 3, 3, 61),
        (160, 4, 4, 92),
        (200, 5, 5, 122),
        (240, 6, 6, 153),
        (240, 7, 7, 184),
    ]
    assert [row[9] for row in lost[2:5]] == ["30-59", "60-89", "90+"]
    assert [row[10] for row in lost[5:]] == [False, False, True]

    # And the paid card has no row after the month in which it was closed; a limit of zero has no utilisation
    paid_up = MART.format("month_end_date, payment_status, is_closed", "account_id = 'paid'")
    assert incremental.rows(paid_up) == [
        (date(2026, 1, 31), None, False),
        (date(2026, 2, 28), -1, False),
        (date(2026, 3, 31), -1, True),
    ]
    other = MART.format("currency, balance_amount, utilisation_pct", "account_id = 'other'")
    assert incremental.rows(other) == [("NOK", None, None)]


def test_a_label_is_known_once_its_months_are_closed(incremental: Warehouse) -> None:
    # Given the cards, whose books end on 10 December, when they are built
    incremental.build(make_bank(), *ONLY)
    label = "month_end_date, default_label_status, defaults_within_horizon"
    lost, late = (incremental.rows(MART.format(label, f"account_id = '{name}'")) for name in ("lost", "late"))

    # Then the lost card is 90 days late at the end of May: earlier rows predict that, later ones predict nothing
    assert [row[1:] for row in lost[:4]] == [("mature", True)] * 4
    assert {row[1:] for row in lost[4:]} == {("in default", None)}

    # And the six months after April ended on 31 October, and were closed by 16 November; those of May were not
    assert {row[1:] for row in late if row[0] <= date(2026, 4, 30)} == {("mature", False)}
    assert [row[1:] for row in late if row[0] == date(2026, 5, 31)] == [("too recent", None)]


def test_a_data_set_of_six_bills_without_times_has_its_own_statuses(incremental: Warehouse) -> None:
    # Given six bills with a status each, no times of changes, no due dates and no minimum
    statuses = [-2, -1, 0, 1, 2, 9]
    lake = Lake()
    lake.load(
        datetime(2026, 12, 20),
        lending__credit_lines=[line("B", at=datetime(2026, 1, 1), opened_at=None, updated_at=None)],
        lending__statements=[
            statement("B", month, 100 * month, None, 50, updated_at=None, due_date=None, credit_limit=5000)
            for month in range(4, 10)
        ],
    )
    for row, status in zip(lake.arrived["lending.statements"], statuses, strict=True):
        row["payment_status"] = status

    # When it is built, then each month has the bill of its own month, and its status
    incremental.build(lake, *ONLY)
    columns = "limit_amount, balance_amount, payment_status, worst_payment_status_6_months, days_past_due"
    rows = incremental.rows(MART.format(f"month_end_date, {columns}", "true"))
    assert [row[0].month for row in rows] == [4, 5, 6, 7, 8, 9]
    assert [row[1:] for row in rows] == [
        (5000, 100 * month, max(status, -1), max(-1, *statuses[: n + 1]), late)
        for n, (month, status, late) in enumerate(zip(range(4, 10), statuses, [0, 0, 0, 1, 30, 240], strict=True))
    ]


def test_a_later_load_does_not_change_a_closed_month(incremental: Warehouse) -> None:
    # Given the cards, and their closed months
    lake = make_bank()
    incremental.build(lake, *ONLY)
    before = incremental.rows(MART.format(CLOSED, "is_final"))
    assert len(before) > 15

    # When a later load corrects a bill of February, books an old payment and an old default, and adds an old card
    lake.load(
        datetime(2026, 12, 28),
        lending__credit_lines=[
            line("late", at=datetime(2026, 2, 1), credit_limit=9000, opened_at=datetime(2026, 1, 5, 9)),
            line("late", at=datetime(2026, 12, 27), opened_at=datetime(2026, 1, 5), defaulted_at=datetime(2026, 3, 1)),
            line("new", at=datetime(2026, 1, 1)),
        ],
        lending__statements=[
            statement("late", 2, 999, 99, updated_at=datetime(2026, 2, 11)),
            paid("lost", 3, 430, 80, 430, datetime(2026, 3, 20)),
            paid("lost", 7, 470, 240, 470, datetime(2026, 7, 20)),
            statement("new", 2, 100, 10),
        ],
    )
    incremental.build(lake, *ONLY)

    # Then no closed month has changed or come up
    last = max(row[1] for row in before)
    after = incremental.rows(MART.format(CLOSED, f"month_end_date <= '{last}'"))
    assert [row[:-2] for row in after] == [row[:-2] for row in before]
    assert {(was[-2:], now[-2:]) for was, now in zip(before, after, strict=True) if was[-2:] != now[-2:]} == {
        (("too recent", None), ("mature", False))
    }

    # And what the load brought counts from now on
    lake.load(datetime(2027, 1, 10), lending__statements=[statement("late", 1, 1, 1, statement_date=date(2027, 1, 8),
                                                                    updated_at=datetime(2027, 1, 8))])  # fmt: skip
    incremental.build(lake, *ONLY)
    now = "account_id, limit_amount, days_past_due, overdue_amount, paid_in_month_amount, is_defaulted"
    assert incremental.rows(MART.format(now, "month_end_date = '2026-12-31'")) == [
        ("late", 1000, 0, 0, 0, True),
        ("lost", 1000, 0, 0, 900, True),
        ("new", 1000, 306, 10, 0, False),
        ("other", 0, 0, 0, 0, False),
    ]


class Bank:
    """Cards whose bills are corrected, paid in parts and booked late, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.clock = datetime(2026, 4, 1)

    def load(self) -> None:
        """Add a batch of states of the last months; most are booked shortly before the load."""
        self.clock += timedelta(days=self.random.randint(20, 70))
        self.lake.load(
            self.clock,
            lending__credit_lines=[self.line() for _ in range(self.random.randint(1, 4))],
            lending__statements=[self.statement() for _ in range(25)],
        )

    def booked(self) -> datetime:
        return self.clock - timedelta(hours=self.random.choice([6, 30, 300, 900, 2500]) + self.random.randint(0, 5))

    def line(self) -> Row:
        number = self.random.randint(1, 4)
        return line(
            f"A{number}",
            at=self.booked(),
            opened_at=datetime(2026, 1, number),
            credit_limit=self.random.choice([500, 1000]),
            defaulted_at=self.random.choice([None, None, self.booked()]),
        )

    def statement(self) -> Row:
        day = date(2026, self.random.randint(1, max(self.clock.month - 1, 1)) if self.clock.year == 2026 else 12, 10)
        amount = self.random.choice([0, 0, 20, 40, 200])
        return {
            "account_id": f"A{self.random.randint(1, 4)}",
            "statement_date": day,
            "balance": 200,
            "minimum_due": self.random.choice([0, 30, 30]),
            "due_date": day + timedelta(days=18),
            "paid_amount": amount,
            "paid_at": self.booked() if amount else None,
            "updated_at": self.booked(),
        }


def known_at(row: Row) -> datetime:
    """Return since when the books knew a state: its own time, or its arrival after the month was closed."""
    closed = end_of_month(row["updated_at"].year, row["updated_at"].month) + timedelta(days=CLOSE_DAYS)
    if row["_is_backfill"] or row["_loaded_at"].date() <= closed:
        return row["updated_at"]
    return row["_loaded_at"]


def recount(rows: list[Row], day: date) -> Row:
    """Return what the books of an account said at the end of a day, from its statements as they arrived."""
    first = {}
    for row in sorted(rows, key=lambda row: (row["updated_at"], row["_batch"], row["_row"])):
        if row["_is_backfill"]:
            first.setdefault(row["statement_date"], row)
    bills: dict[date, Row] = {}
    for row in sorted(rows, key=lambda row: (row["updated_at"], row["_batch"], row["_row"])):
        issued = datetime.combine(row["statement_date"], datetime.min.time())
        since = max(known_at(row), issued, row["paid_at"] or issued)
        if row is first.get(row["statement_date"]) and row["paid_amount"] and issued.date() <= day:
            bills[row["statement_date"]] = {**row, "paid_amount": 0}
        if since.date() <= day:
            bills[row["statement_date"]] = row
    missed: list[Row] = []
    for bill in (bills[key] for key in sorted(bills)):
        if bill["paid_amount"] >= bill["minimum_due"]:
            missed = []
        elif bill["due_date"] < day:
            missed.append(bill)
    latest = bills[max(bills)] if bills else {}
    return {
        "balance_amount": latest.get("balance"),
        "minimum_due_amount": latest.get("minimum_due"),
        "paid_amount": latest.get("paid_amount"),
        "days_past_due": (day - missed[0]["due_date"]).days if missed else 0 if bills else None,
        "missed_statement_count": len(missed),
        "overdue_amount": missed[-1]["minimum_due"] - missed[-1]["paid_amount"] if missed else 0,
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_month_equals_a_recount_and_later_loads_change_no_closed_one(
    seed: int, incremental: Warehouse, full: Warehouse
) -> None:
    # Given cards with states in any order, when they are built after each load
    bank = Bank(seed)
    closed: dict[tuple[str, date], tuple[Any, ...]] = {}
    for _ in range(3 if seed == 0 else 5):
        bank.load()
        incremental.build(bank.lake, *ONLY)
        columns = list(recount([], date(2026, 1, 1)))
        rows = incremental.rows(MART.format(", ".join(["account_id", "month_end_date", *columns]), "true"))

        # Then each month is that of a recount of the rows that had arrived
        for account, day, *values in rows:
            arrived = [row for row in bank.lake.arrived["lending.statements"] if row["account_id"] == account]
            assert (account, day, dict(zip(columns, values, strict=True))) == (account, day, recount(arrived, day))

        # And a closed month is as it was before the load, with its label if that was known
        for row in incremental.rows(MART.format(CLOSED, "is_final")):
            was = closed.get(row[:2], row)
            assert row[:-2] == was[:-2]
            assert was[-2:] in (row[-2:], ("too recent", None))
            closed[row[:2]] = row

    # And it equals a warehouse that is built from nothing
    full.build(bank.lake, "--full-refresh", *ONLY)
    assert incremental.differences(full) == {}
    assert len(closed) > 5
