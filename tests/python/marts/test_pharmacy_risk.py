"""Labels and features of payments find the planted fraud, with only the knowledge of each time."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from demo.pharmacy import FIRST_DAY

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

Row = dict[str, Any]
MATURITY, DELAY = timedelta(days=60), timedelta(days=1)
LATEST = datetime.combine(FIRST_DAY, datetime.min.time())
FEATURES = "from machine_learning.train_payment_fraud union all by name from machine_learning.score_payment_fraud"


@pytest.fixture(scope="module")
def frauds(pharmacy: "Pharmacy") -> list[Row]:
    """The planted frauds, all of which are in the warehouse."""
    planted = pharmacy.planted("fraud")
    known = {row["transaction_id"] for row in pharmacy.rows("select transaction_id from core.fct_payments")}
    assert {row["transaction_id"] for row in planted} <= known
    assert {row["kind"] for row in planted} == {"ring", "lone"}
    return planted


def know(fraud: Row, as_of: datetime, heard_until: datetime) -> str:
    """Return the knowledge about a planted fraud at a time, when reports had arrived until some time before."""
    if fraud["reported_at"] is not None and fraud["reported_at"] + DELAY <= as_of:
        return "fraud"
    return "presumed legitimate" if fraud["transacted_at"] + MATURITY <= heard_until else "unknown"


@pytest.mark.parametrize("days_ago", [0, 45, 200])
def test_fraud_labels_as_known_at_three_dates_equal_the_planted_truth(
    pharmacy: "Pharmacy", frauds: list[Row], days_ago: int
) -> None:
    # Given a date, and the frauds before it
    as_of = LATEST - timedelta(days=days_ago)
    reports = pharmacy.rows("select reported_at from core.fct_chargebacks where _is_backfill")
    heard_until = max(row["reported_at"] + DELAY for row in reports if row["reported_at"] + DELAY <= as_of)
    made = {row["transaction_id"]: know(row, as_of, heard_until) for row in frauds if row["transacted_at"] <= as_of}
    assert {"fraud", "presumed legitimate", "unknown"} == set(made.values())

    # When the labels of that date are read
    labels = {
        row["transaction_id"]: row["fraud_status"]
        for row in pharmacy.rows(
            f"select transaction_id, fraud_status from risk.payment_fraud_labels_as_of(as_of := timestamp '{as_of}')"
        )
    }

    # Then each fraud has the label that was known, and each payment of the time has a label.
    # Only a few honest payments are labelled as fraud: their cardholders forgot them.
    assert {transaction: labels[transaction] for transaction in made} == made
    forgotten = {transaction for transaction, status in labels.items() if status == "fraud"} - made.keys()
    assert len(forgotten) < len(labels) / 500
    paid = pharmacy.rows(
        "select transaction_id from core.fct_payments "
        f"where not is_refund and _is_backfill and transacted_at <= timestamp '{as_of}'"
    )
    assert {row["transaction_id"] for row in paid} == labels.keys()


def test_a_ring_shows_in_its_device_and_its_travels_and_honest_payments_do_not(
    pharmacy: "Pharmacy", frauds: list[Row]
) -> None:
    # Given the payments of rings, and the honest ones
    features = {row["transaction_id"]: row for row in pharmacy.rows(FEATURES)}
    rings: dict[str, list[Row]] = {}
    for fraud in frauds:
        if fraud["ring"]:
            rings.setdefault(fraud["ring"], []).append(features.pop(fraud["transaction_id"]))
        else:
            del features[fraud["transaction_id"]]
    assert len(rings) > 2

    # Then each ring's last features show a device with many cards and customers, and cards in two distant countries
    customers = {row["transaction_id"]: row["customer_id"] for row in pharmacy.rows("from core.fct_payments")}
    for payments in rings.values():
        last = max(payments, key=lambda row: (row["transacted_at"], row["device__card_count"]))
        assert last["device__card_count"] == len({row["card_id"] for row in payments})
        assert last["device__customer_count"] == len({customers[row["transaction_id"]] for row in payments})
        assert sum(row["travel_class"] == "impossible" for row in payments) >= 5
        assert max(row["card__payment_count_1d"] for row in payments) >= 4

    # And very few honest payments have such features
    assert sum(row["device__card_count"] > 4 for row in features.values()) < len(features) / 500
    assert sum(row["travel_class"] == "impossible" for row in features.values()) < len(features) / 200


def count_by_hand(charges: list[Row], now: Row) -> Row:
    """Return a payment's features from all earlier payments, one by one."""
    before = [row for row in charges if row["transacted_at"] < now["transacted_at"]]
    card = [row for row in before if row["card_id"] == now["card_id"]]
    device = [row for row in before if row["device_id"] == now["device_id"]]
    terminal = [row for row in before if row["terminal_id"] == now["terminal_id"]]

    def within(rows: list[Row], time: timedelta) -> list[Row]:
        return [row for row in rows if row["transacted_at"] >= now["transacted_at"] - time]

    def in_month(time: datetime | None) -> bool:
        return time is not None and now["transacted_at"] - timedelta(days=30) <= time < now["transacted_at"]

    month_in_currency = [row for row in within(card, timedelta(days=30)) if row["currency"] == now["currency"]]
    return {
        "card__payment_count_10m": len(within(card, timedelta(minutes=10))),
        "card__payment_count_1d": len(within(card, timedelta(days=1))),
        "card__payment_count_30d": len(within(card, timedelta(days=30))),
        "card__payment_total": len(card),
        "card_currency__amount_sum_30d": float(sum(row["amount"] for row in month_in_currency)),
        "device__card_count": len({row["card_id"] for row in device}) if now["device_id"] else 0,
        "device__customer_count": len({row["customer_id"] for row in device} - {None}) if now["device_id"] else 0,
        "is_new_device": now["device_id"] is not None and all(row["device_id"] != now["device_id"] for row in card),
        "terminal__payment_count_30d": len(within(terminal, timedelta(days=30))),
        "terminal_fraud__report_count_30d": sum(
            in_month(row["reported_at"]) and row["fraud_known_at"] <= now["transacted_at"]
            for row in charges
            if row["terminal_id"] == now["terminal_id"]
        ),
    }


def test_features_equal_those_counted_payment_by_payment(pharmacy: "Pharmacy", frauds: list[Row]) -> None:
    # Given all payments, and a sample of frauds and other payments
    charges = pharmacy.rows(
        "select payments.*, chargebacks.reported_at, case when chargebacks._is_backfill "
        "then chargebacks.reported_at + interval 1 day "
        "else greatest(chargebacks.reported_at, chargebacks._loaded_at) end as fraud_known_at "
        "from core.fct_payments as payments "
        "left join core.fct_chargebacks as chargebacks "
        "on payments.transaction_id = chargebacks.transaction_id and chargebacks.is_fraud where not is_refund"
    )
    some = {row["transaction_id"] for row in frauds[::5]} | {row["transaction_id"] for row in charges[::150]}
    features = {row["transaction_id"]: row for row in pharmacy.rows(FEATURES)}
    assert features.keys() == {row["transaction_id"] for row in charges}

    # When their features are computed by hand, then training and scoring have the same
    for now in charges:
        if now["transaction_id"] in some:
            counted = count_by_hand(charges, now)
            assert {name: features[now["transaction_id"]][name] for name in counted} == pytest.approx(counted)
