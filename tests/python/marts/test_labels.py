"""A label as of a past moment is what was known then, and no later load changes it."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

DAY = timedelta(days=1)
MATURITY, DELAY = 60 * DAY, DAY
LOADS = [datetime(2025, 3, 1, 4) + days * DAY for days in (0, 20, 45, 46, 90, 140)]
"""Nights on which the deposits of a bicycle rental are loaded; the first one brings a year of history."""

Row = dict[str, Any]
Label = tuple[str, str]


def make_loads(seed: int) -> list[dict[str, list[Row]]]:
    """Make deposits and the banks' reports about them; some arrive weeks late, or before the deposit."""
    chance = random.Random(seed)
    loads: list[dict[str, list[Row]]] = [
        {"payments.transactions": [], "payments.chargebacks": []} for _ in range(len(LOADS) + 1)
    ]

    def arrive(table: str, happened_at: datetime, row: Row) -> None:
        late = chance.choice([timedelta(), timedelta(), 3 * DAY, 30 * DAY])
        number = next((n for n, at in enumerate(LOADS) if at >= happened_at + late), len(LOADS))
        loads[number][table].append(row)

    for number in range(150):
        made = LOADS[0] - timedelta(days=120) + timedelta(hours=chance.randrange(24 * 250))
        arrive("payments.transactions", made, {"transaction_id": f"bike-{number}", "amount": 80, "transacted_at": made})
        if chance.random() < 0.2:
            reported = made + timedelta(hours=chance.randrange(24 * 80))
            row = {"transaction_id": f"bike-{number}", "reason": chance.choice(["fraud", "duplicate"])}
            arrive("payments.chargebacks", reported, {**row, "reported_at": reported})
    return loads[: len(LOADS)]


def known_at(row: Row, happened_at: datetime, delay: timedelta) -> datetime:
    """Return when a row was known: at its arrival, or after the usual delay if it came with the first load."""
    return happened_at + delay if row["_is_backfill"] else max(happened_at, row["_loaded_at"])


def recount(lake: Lake, as_of: datetime) -> dict[str, Label]:
    """Label the deposits known at a moment, from the rows known at that moment alone."""
    known = [
        row
        for row in lake.arrived["payments.transactions"]
        if known_at(row, row["transacted_at"], timedelta()) <= as_of
    ]
    reports = lake.arrived["payments.chargebacks"]
    told = [row for row in reports if known_at(row, row["reported_at"], DELAY) <= as_of]
    frauds = {row["transaction_id"] for row in told if row["reason"] == "fraud"}
    arrivals = [known_at(row, row["reported_at"], DELAY) for row in told]
    arrivals += [row["_loaded_at"] for row in reports if row["_loaded_at"] <= as_of]
    moments = [row["transacted_at"] for row in known] + [row["reported_at"] for row in told]

    def label(row: Row) -> Label:
        matures = row["transacted_at"] + MATURITY
        if row["transaction_id"] in frauds:
            return "fraud", "known"
        if as_of < matures:
            return "unknown", "too recent"
        if any(at >= matures for at in arrivals) and any(at >= matures for at in moments):
            return "presumed legitimate", "known"
        return "unknown", "unobserved"

    return {row["transaction_id"]: label(row) for row in known}


def labels_as_of(warehouse: Warehouse, as_of: datetime) -> dict[str, Label]:
    """Return what the function of the release says."""
    call = f"risk.payment_fraud_labels_as_of(as_of := timestamp '{as_of}')"
    rows = warehouse.rows(f"select transaction_id, fraud_status, label_state, is_fraud from {call}")
    assert {(status, is_fraud) for _, status, _, is_fraud in rows} <= {
        ("fraud", True),
        ("presumed legitimate", False),
        ("unknown", None),
    }
    assert len({row[0] for row in rows}) == len(rows)
    return {transaction: (status, state) for transaction, status, state, _ in rows}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in (1, 2))])
def test_labels_as_of_a_past_day_are_those_of_that_day_after_every_load(seed: int, incremental: Warehouse) -> None:
    # Given a rental whose deposits and reports arrive over months
    lake = Lake()
    days = [LOADS[0] - 30 * DAY, *(at + timedelta(hours=1) for at in LOADS)]
    of_the_day: dict[datetime, dict[str, Label]] = {}

    for number, (at, tables) in enumerate(zip(LOADS, make_loads(seed), strict=True)):
        # When each night is loaded and built
        lake.load(at, **{name.replace(".", "__"): rows for name, rows in tables.items()})
        incremental.build(lake, "--select", "+payment_fraud_labels_as_of")

        # Then the labels of all days until then are those that were read on the day, and those of a second count
        for day in days[: number + 2]:
            labels = labels_as_of(incremental, day)
            assert labels == of_the_day.setdefault(day, labels), day
            assert labels == recount(lake, day), day

    # And today's labels are those as of the latest moment
    today = incremental.rows(
        "select transaction_id, fraud_status, label_state from risk.payment_fraud_labels where is_current"
    )
    assert {name: (status, state) for name, status, state in today} == labels_as_of(incremental, LOADS[-1])
    seen = {label for labels in of_the_day.values() for label in labels.values()}
    assert len(seen) == 4


def test_a_report_file_of_a_later_day_matures_payments_from_its_arrival_on(incremental: Warehouse) -> None:
    # Given a deposit of March, and no report after its maturity in May
    lake = Lake()
    lake.load(
        datetime(2025, 3, 1),
        payments__transactions=[{"transaction_id": "bike", "amount": 80, "transacted_at": datetime(2025, 3, 1)}],
        payments__chargebacks=[{"transaction_id": "other", "reason": "fraud", "reported_at": datetime(2025, 2, 1)}],
    )
    incremental.build(lake, "--select", "+payment_fraud_labels_as_of")
    assert labels_as_of(incremental, datetime(2025, 5, 20)) == {"bike": ("unknown", "unobserved")}

    # When a report of 10 May arrives on 1 June
    late = {"transaction_id": "third", "reason": "duplicate", "reported_at": datetime(2025, 5, 10)}
    lake.load(datetime(2025, 6, 1), payments__chargebacks=[late])
    incremental.build(lake, "--select", "+payment_fraud_labels_as_of")

    # Then the label of 20 May is as it was, and that of June says that the payment was honest
    assert labels_as_of(incremental, datetime(2025, 5, 20)) == {"bike": ("unknown", "unobserved")}
    assert labels_as_of(incremental, datetime(2025, 6, 1)) == {"bike": ("presumed legitimate", "known")}
