"""What a model of fraud sees of a payment is what was known before it, in training as in scoring."""

from datetime import datetime, timedelta

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

NOON, MICROSECOND = datetime(2026, 1, 1, 12), timedelta(microseconds=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def pay(name: str, card: str | None, after: timedelta, **other: object) -> Row:
    """Return a payment some time after noon; a card has a terminal and a customer of its own, if not said otherwise."""
    return {
        **{"transaction_id": name, "card_id": card, "customer_id": f"of {card}", "terminal_id": f"of {card}"},
        **{"country": "DE", "currency": "EUR", "amount": 1, "transacted_at": NOON + after},
        **other,
    }


WINDOW = [
    pay("at the start", "window", -10 * timedelta(minutes=1), amount=1),
    pay("just before", "window", -MICROSECOND, amount=2),
    pay("now", "window", 0 * DAY, amount=4),
    pay("at once", "window", 0 * DAY, amount=8),
    pay("just after", "window", MICROSECOND, amount=16),
    pay("refund", "window", -5 * timedelta(minutes=1), amount=-8),
]
CURRENCIES = [
    pay("euro", "travelling", 0 * DAY, amount=10),
    pay("franc", "travelling", HOUR, amount=90, currency="CHF"),
    pay("euro again", "travelling", 2 * HOUR, amount=30),
    pay("a month later", "travelling", 31 * DAY, amount=60),
]
DEVICES = [
    pay("first", "A", 0 * HOUR, device_id="D"),
    pay("again", "A", 1 * HOUR, device_id="D"),
    pay("other card", "B", 2 * HOUR, device_id="D"),
    pay("guest", "C", 2 * HOUR, device_id="D", customer_id=None),
    pay("back", "A", 3 * HOUR, device_id="D"),
    pay("other device", "A", 4 * HOUR, device_id="E"),
    pay("no card", None, 5 * HOUR, device_id="D"),
    pay("no device", "A", 6 * HOUR),
]
TERMINAL = [
    pay("stolen", "T1", 0 * DAY, terminal_id="S"),
    pay("disputed", "T2", 1 * DAY, terminal_id="S"),
    pay("at the arrival", "T3", 5 * DAY, terminal_id="S"),
    pay("before the arrival", "T4", 5 * DAY - MICROSECOND, terminal_id="S"),
    pay("thirty days", "T5", 34 * DAY, terminal_id="S"),
    pay("later", "T6", 34 * DAY + MICROSECOND, terminal_id="S"),
]
REPORTS: list[Row] = [
    {"transaction_id": "stolen", "reason": "fraud", "reported_at": NOON + 4 * DAY},
    {"transaction_id": "disputed", "reason": "duplicate", "reported_at": NOON + 2 * DAY},
    {"transaction_id": "never arrived", "reason": "fraud", "reported_at": NOON + 2 * DAY},
]
TRAVELS = [
    pay("at home", "far", 0 * HOUR),
    pay("somewhere", "far", 1 * HOUR, country=None),
    pay("in Japan", "far", 2 * HOUR, country="JP"),
    pay("at the same moment", "far", 2 * HOUR, country="DE"),
    pay("in no known place", "far", 3 * HOUR, country="XX"),
    pay("by plane", "flies", 0 * HOUR),
    pay("landed", "flies", 15 * HOUR, country="JP"),
]


def bought(card: str) -> list[Row]:
    """Return three payments of a card within ten minutes, on a device of its own."""
    return [
        pay(f"{card} {number}", card, number * timedelta(minutes=4), device_id=f"of {card}", amount=number + 1)
        for number in range(3)
    ]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> dict[str, Row]:
    """The features of all payments, by their id; those of one card were loaded in the night after they were made."""
    lake = Lake()
    first = [*WINDOW, *CURRENCIES, *DEVICES, *TERMINAL, *TRAVELS, *bought("by day")]
    lake.load(NOON + 40 * DAY, payments__transactions=first, payments__chargebacks=REPORTS)
    lake.load(NOON + 41 * DAY, payments__transactions=bought("by night"))
    warehouse = Warehouse(tmp_path_factory.mktemp("payments") / "built", manifest)
    warehouse.build(lake, "--select", "+train_payment_fraud", "+score_payment_fraud")
    with warehouse.connect() as connection:
        found = connection.execute(
            "from machine_learning.train_payment_fraud union all by name from machine_learning.score_payment_fraud"
        )
        names = [name for name, *_ in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert len(rows) == len({row["transaction_id"] for row in rows}) == len(first) - 1 + 3
    return {row["transaction_id"]: row for row in rows}


def columns(described: dict[str, Row], payments: list[Row], *names: str) -> dict[str, list[object]]:
    return {
        row["transaction_id"]: [described[row["transaction_id"]][name] for name in names]
        for row in payments
        if row["amount"] > 0
    }


def test_a_window_has_its_start_and_neither_the_payment_nor_what_happens_with_it(described: dict[str, Row]) -> None:
    names = ("card__payment_count_10m", "card_currency__amount_sum_10m", "card__payment_total")
    assert columns(described, WINDOW, *names) == {
        "at the start": [0, 0, 0],
        "just before": [1, 1, 1],
        "now": [2, 3, 2],
        "at once": [2, 3, 2],
        "just after": [3, 14, 4],
    }


def test_amounts_are_summed_within_one_currency_and_payments_counted_in_all(described: dict[str, Row]) -> None:
    names = ("card_currency__amount_sum_1d", "card_amount_ratio", "card__payment_count_30d")
    assert columns(described, CURRENCIES, *names) == {
        "euro": [0, None, 0],
        "franc": [0, None, 1],
        "euro again": [10, 3, 2],
        "a month later": [0, 3, 0],
    }


def test_a_device_is_not_blamed_for_cards_that_come_later(described: dict[str, Row]) -> None:
    names = ("is_new_device", "device__card_count", "device__customer_count")
    assert columns(described, DEVICES, *names) == {
        "first": [True, 0, 0],
        "again": [False, 1, 1],
        "other card": [True, 1, 1],
        "guest": [True, 1, 1],
        "back": [False, 3, 2],
        "other device": [True, 0, 0],
        "no card": [False, 3, 2],
        "no device": [False, 0, 0],
    }


def test_a_fraud_counts_at_its_terminal_from_the_arrival_of_its_report(described: dict[str, Row]) -> None:
    names = ("terminal_fraud__report_count_30d", "terminal__payment_count_30d", "terminal_fraud_share_30d")
    assert columns(described, TERMINAL, *names) == {
        "stolen": [0, 0, None],
        "disputed": [0, 1, 0],
        "at the arrival": [1, 3, 1 / 3],
        "before the arrival": [0, 2, 0],
        "thirty days": [1, 2, 1 / 2],
        "later": [0, 3, 0],
    }


def test_only_travel_faster_than_an_aeroplane_is_impossible(described: dict[str, Row]) -> None:
    names = ("has_country_changed", "travel_class")
    assert columns(described, TRAVELS, *names) == {
        "at home": [False, None],
        "somewhere": [False, None],
        "in Japan": [True, "impossible"],
        "at the same moment": [False, "ground"],
        "in no known place": [True, None],
        "by plane": [False, None],
        "landed": [True, "air"],
    }


def test_a_payment_of_a_nightly_load_has_the_features_of_one_of_a_first_load(described: dict[str, Row]) -> None:
    """A model would else learn from counts that no payment has when it is scored."""
    own = {"transaction_id", "card_id"}
    by_day, by_night = (
        [
            {name: value for name, value in described[f"by {when} {number}"].items() if name not in own}
            for number in range(3)
        ]
        for when in ("day", "night")
    )
    assert by_day == by_night
    assert [row["card__payment_count_10m"] for row in by_night] == [0, 1, 2]
    assert [row["device_card__payment_total"] for row in by_night] == [0, 1, 2]
