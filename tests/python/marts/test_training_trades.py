"""Subscriptions, cards and machines of other trades get training rows by the same path as the demo's models."""

import random
from calendar import monthrange
from datetime import date, datetime, timedelta

from support.lake_by_hand import Lake, Row, Warehouse
from support.trained import train_on

pytest_plugins = ["support.warehouse_fixtures"]

CLOSE_DAYS, HORIZON_DAYS, BOOKING_DAYS = 15, 30, 7


def month_end(number: int) -> date:
    """Return the last day of a month, counted from January 2025."""
    year, month = 2025 + number // 12, number % 12 + 1
    return date(year, month, monthrange(year, month)[1])


def test_a_gym_learns_which_memberships_end(incremental: Warehouse) -> None:
    # Given sixty memberships with two plans, of which some end, and one whose end is announced
    chance, lake, states, ends = random.Random(3), Lake(), [], {}
    for number in range(60):
        began = datetime(2025, 1, 2) + timedelta(days=chance.randrange(120))
        member = {
            "subscription_id": f"M{number}",
            "customer_id": f"C{number}",
            "plan": ("sauna", "weights")[number % 2],
            "status": "active",
            "monthly_amount": 30 + number % 2 * 15,
            "currency": "ISK",
            "contract_months": 12,
            "billing_interval_months": 1,
            "started_at": began,
            "updated_at": began,
        }
        states.append(member)
        if number % 3 == 0:
            ends[f"M{number}"] = began + timedelta(days=60 + chance.randrange(220))
            told = ends[f"M{number}"] - timedelta(days=20 if number == 3 else -2)
            states.append({**member, "status": "ended", "ended_at": ends[f"M{number}"], "updated_at": told})
    lake.load(
        datetime(2026, 2, 20),
        sales__subscriptions=[*states, {**states[0], "subscription_id": "last", "updated_at": datetime(2026, 2, 18)}],
    )

    # When they are built
    incremental.build(lake, "--select", "+train_subscription_churn", "+score_subscription_churn")
    rows = incremental.rows(
        "select subscription_id, month_end_date, label_state, churns_within_horizon, as_of, label_known_at "
        "from machine_learning.label_subscription_churn where subscription_id <> 'last'"
    )

    # Then a month has the outcome of the days after it, once the books of it are closed
    known = {(name, day): (label, as_of, at) for name, day, state, label, as_of, at in rows if state == "known"}
    assert {label for label, *_ in known.values()} == {True, False}
    for (name, day), (label, as_of, at) in known.items():
        horizon = datetime.combine(day + timedelta(days=HORIZON_DAYS + 1), datetime.min.time())
        assert label == (name in ends and ends[name] < horizon), (name, day)
        assert as_of == datetime.combine(day + timedelta(days=CLOSE_DAYS + 1), datetime.min.time())
        assert at >= horizon + timedelta(days=BOOKING_DAYS)
    assert max(day for _, day in known) == date(2025, 11, 30)
    assert {state for _, day, state, *_ in rows if day > date(2025, 12, 1)} == {"too recent"}

    # And these months train, with numbers and texts; memberships that run are scored
    trained = incremental.rows(
        "select subscription_id, churns_within_horizon, plan, monthly_amount, tenure_months "
        "from machine_learning.train_subscription_churn where subscription_id <> 'last'"
    )
    assert len(trained) == len(known)
    assert {(plan, amount) for _, _, plan, amount, _ in trained} == {("sauna", 30.0), ("weights", 45.0)}
    scored = {
        name for (name,) in incremental.rows("select subscription_id from machine_learning.score_subscription_churn")
    }
    assert scored == {f"M{number}" for number in range(60)} - ends.keys() | {"last"}

    # And a model is fitted by them, and judged; texts and numbers alike are its features
    model = train_on(incremental, "subscription_churn")
    assert {"plan", "monthly_amount", "tenure_months"} <= model.importances.keys()
    assert model.parts.train["as_of"].max() + timedelta(days=HORIZON_DAYS) <= model.parts.test["as_of"].min()


def test_a_shop_card_learns_who_will_not_pay(incremental: Warehouse) -> None:
    # Given cards of which every fourth stops paying in some month
    opened, lake, lines, statements = datetime(2025, 1, 5, 9), Lake(), [], []
    stops = {f"A{number}": 3 + number // 4 for number in range(0, 24, 4)}
    for number in range(24):
        account: Row = {"account_id": f"A{number}", "customer_id": f"C{number}", "currency": "MAD"}
        lines.append({**account, "credit_limit": 5000, "opened_at": opened, "updated_at": opened})
        for month in range(1, 16):
            day = month_end(month).replace(day=10)
            owed = max(1, month - stops.get(f"A{number}", 99) + 1)
            bill = {
                "account_id": f"A{number}",
                "statement_date": day,
                "due_date": day.replace(day=28),
                "balance": 400 * owed,
                "minimum_due": 40 * owed,
                "updated_at": datetime.combine(day, datetime.min.time()) + timedelta(hours=12),
            }
            statements.append(bill)
            if month < stops.get(f"A{number}", 99):
                at = datetime.combine(day.replace(day=20), datetime.min.time())
                statements.append({**bill, "paid_amount": 400, "paid_at": at, "updated_at": at})
    lake.load(datetime(2026, 4, 29), lending__credit_lines=lines, lending__statements=statements)

    # When they are built
    incremental.build(lake, "--select", "+train_account_default", "+score_account_default")
    rows = incremental.rows(
        "select account_id, month_end_date, defaults_within_horizon, as_of, label_known_at "
        "from machine_learning.train_account_default join machine_learning.label_account_default "
        "using (account_id, as_of, defaults_within_horizon, label_known_at)"
    )

    # Then a card that stops in a month is in default three months later, and its label says so within six months
    assert {label for _, _, label, *_ in rows} == {True, False}
    for name, day, label, as_of, at in rows:
        number = (day.year - 2025) * 12 + day.month - 1
        lost = stops.get(name, 99) + 3  # due on the 28th: 90 days past due at the third month's end after it
        assert label == (number < lost <= number + 6), (name, day)
        assert (as_of - datetime.combine(day, datetime.min.time())).days == CLOSE_DAYS + 1
        assert at > datetime.combine(month_end(number + 6), datetime.min.time())
    shares = incremental.rows("select utilisation_pct, minimum_due_pct from machine_learning.train_account_default "
                              "where days_past_due = 0 limit 1")  # fmt: skip
    assert shares == [(8.0, 0.8)]

    # And cards in default are not scored
    scored = {name for (name,) in incremental.rows("select account_id from machine_learning.score_account_default")}
    assert scored == {f"A{number}" for number in range(24)} - stops.keys()

    # And a model is fitted and judged; no card is on both sides
    model = train_on(incremental, "account_default")
    assert not set(model.parts.train["account_id"]) & set(model.parts.test["account_id"])
    assert {"utilisation_pct", "days_past_due"} <= model.importances.keys()


def test_machines_with_any_number_of_quantities_learn_how_failures_announce_themselves(incremental: Warehouse) -> None:
    # Given a kiln with one quantity, and a press with five, whose oil warms before each failure
    chance, lake = random.Random(5), Lake()
    quantities = {"kiln": ["flame_celsius"], "press": ["oil_celsius", "force_kn", "stroke_mm", "noise_db", "oil_bar"]}
    began, days = datetime(2025, 6, 1), 90
    failures = {"kiln": [], "press": [began + timedelta(days=day) for day in (20, 40, 60)]}
    measured: list[Row] = []
    for unit, names in quantities.items():
        for hour in range(24 * days):
            at = began + timedelta(hours=hour, minutes=30)
            wear = max((1 - (failed - at) / timedelta(days=6) for failed in failures[unit] if failed > at), default=0)
            for name in names:
                value = 50 + chance.random() + (10 * max(wear, 0) if name == "oil_celsius" else 0)
                measured.append({"unit_id": unit, "quantity": name, "read_at": at, "value": round(value, 3)})
    jobs = [
        {"maintenance_id": f"J{number}", "unit_id": "press", "kind": "failure", "started_at": at,
         "ended_at": at + timedelta(hours=5), "updated_at": at + timedelta(hours=5)}
        for number, at in enumerate(failures["press"])
    ]  # fmt: skip
    served = began + timedelta(days=88)
    service = {"maintenance_id": "S", "unit_id": "kiln", "kind": "service", "started_at": served, "ended_at": served}
    jobs.append({**service, "updated_at": served})
    lake.load(
        began + timedelta(days=days),
        equipment__units=[{"unit_id": unit, "site": "Essaouira", "updated_at": began} for unit in quantities],
        equipment__measurements=measured,
        equipment__maintenance=jobs,
    )

    # When it is built
    incremental.build(lake, "--select", "+train_unit_failure", "+score_unit_failure")
    rows = incremental.rows(
        "select unit_id, as_of, is_failing, sensor_count, largest_drift_deviations, largest_value_deviations "
        "from machine_learning.train_unit_failure order by unit_id, as_of"
    )

    # Then each day until its label could be known has a row, and the label is that of the next seven days
    assert {(unit, count) for unit, _, _, count, *_ in rows} == {("kiln", 1), ("press", 5)}
    assert len([row for row in rows if row[0] == "kiln"]) > 40
    for unit, as_of, label, *_ in rows:
        assert label == any(as_of < at <= as_of + timedelta(days=7) for at in failures[unit]), (unit, as_of)

    # And the deviations of the machine with five quantities tell its failures, whatever the quantities are called
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    worn = [row[5] for row in rows if row[2] and row[5] is not None and row[1] > began + timedelta(days=10)]
    sound = [row[5] for row in rows if row[0] == "kiln" and row[5] is not None and row[1] > began + timedelta(days=10)]
    assert mean(worn) > 1.5 * mean(sound)
    scored = incremental.rows("select unit_id, sensor_count from machine_learning.score_unit_failure order by unit_id")
    assert scored == [("kiln", 1), ("press", 5)]

    # And a model is fitted and judged: it learns from the first failure what announces the last one
    model = train_on(incremental, "unit_failure")
    assert set(model.parts.test["unit_id"]) == {"kiln", "press"}
    assert model.metrics["roc_auc"].value > 0.65
