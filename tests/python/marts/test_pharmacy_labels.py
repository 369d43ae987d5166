"""The labels of the demo are the planted outcomes, and its training sets are tables that libraries take as they are."""

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from dbt.contracts.graph.manifest import Manifest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    import pandas as pd
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

WEEK = timedelta(days=7)
EMPTY = {"train_subscription_churn", "train_account_default"}
"""The demo has no subscriptions and no cards."""


def training_models(manifest: Manifest) -> list[str]:
    models = (node for node in manifest.nodes.values() if node.resource_type == "model")
    return sorted(node.name for node in models if node.name.startswith("train_"))


def read(pharmacy: "Pharmacy", model: str) -> "pd.DataFrame":
    with duckdb.connect(str(pharmacy.folder / "warehouse.duckdb"), read_only=True) as release:
        return release.execute(f"from machine_learning.{model}").df()


def test_pandas_and_scikit_learn_take_every_training_set_as_it_is(pharmacy: "Pharmacy", manifest: Manifest) -> None:
    # Given all training sets of the release
    for model in training_models(manifest):
        frame = read(pharmacy, model)
        assert (len(frame) == 0) == (model in EMPTY), model

        # Then each column is a number, a boolean, a text, a time or pixels, and no number hides in objects
        for name, values in frame.items():
            if frame.empty or str(values.dtype) in ("float64", "bool", "int32", "int64") or values.dtype.kind == "M":
                continue
            kind = bytearray if name == "pixels" else str
            assert all(isinstance(one, kind) for one in values.dropna()), (model, name)

        # And a score model has the same features
        scored = read(pharmacy, model.replace("train_", "score_"))
        read_models = manifest.nodes[f"model.ml_warehouse.{model}"].depends_on_nodes
        label = next(manifest.nodes[key] for key in read_models if ".label_" in key)
        features = [name for name in frame if name not in label.columns and name != "fold"]
        assert features == [name for name in scored if name in features], model
        assert model in EMPTY or len(scored) > 0


def test_payments_have_the_planted_label_once_they_have_matured(pharmacy: "Pharmacy") -> None:
    # Given the planted frauds that were reported, and all payments with a label
    reported = {row["transaction_id"] for row in pharmacy.planted("fraud") if row["reported_at"] is not None}
    labels = {row["transaction_id"]: row for row in pharmacy.rows("from machine_learning.label_payment_fraud")}
    known = {name: row["is_fraud"] for name, row in labels.items() if row["label_state"] == "known"}
    assert len(known) > 5_000

    # Then these frauds have the label, few others do, and none has it before it has matured
    frauds = {name for name, is_fraud in known.items() if is_fraud}
    assert frauds >= reported & known.keys()
    assert len(frauds - reported) < len(known) / 300
    assert all(
        (row["label_known_at"] - row["transacted_at"]) >= timedelta(days=60)
        for row in labels.values()
        if row["label_known_at"]
    )
    young = {name for name, row in labels.items() if row["label_state"] != "known"}
    assert young & reported
    assert all(labels[name]["is_fraud"] is None for name in young)


def test_units_have_the_planted_failures_of_the_week_after(pharmacy: "Pharmacy") -> None:
    # Given the planted failures, and the days with a label
    failures: dict[str, list[datetime]] = {}
    for row in pharmacy.planted("failures"):
        failures.setdefault(row["unit_id"], []).append(row["failed_at"])
    rows = pharmacy.rows("from machine_learning.label_unit_failure where label_state = 'known'")
    assert len(rows) > 200

    # Then a day has the label if and only if a failure begins within a week after it
    wrong = [
        row
        for row in rows
        if row["is_failing"] != any(row["as_of"] < at <= row["as_of"] + WEEK for at in failures.get(row["unit_id"], []))
    ]
    assert wrong == []
    assert {row["is_failing"] for row in rows} == {True, False}


def test_customers_who_had_lapsed_have_the_label_of_churn(pharmacy: "Pharmacy") -> None:
    # Given the planted lapses, and the customers who had not churned on a snapshot day
    lapsed = {
        row["customer_id"]: datetime.combine(row["lapsed_date"], time()) for row in pharmacy.planted("lapsed_customers")
    }
    rows = pharmacy.rows("from machine_learning.label_customer_churn where label_state = 'known'")

    # Then each who had lapsed by then has churned by the end of the horizon, and others have the planted rate
    gone = [row["is_churned"] for row in rows if lapsed.get(row["customer_id"], datetime.max) <= row["as_of"]]
    others = [row["is_churned"] for row in rows if row["customer_id"] not in lapsed]
    assert len(gone) > 100
    assert all(gone)
    assert 0.05 < np.mean(others) < 0.5


def test_reviews_have_the_planted_sentiment_unless_their_stars_were_reversed(pharmacy: "Pharmacy") -> None:
    planted = {row["review_id"]: row["sentiment"] for row in pharmacy.planted("reviews")}
    rows = pharmacy.rows("from machine_learning.label_review_sentiment where label_state = 'known'")
    told = [(row["is_positive"], planted[row["review_id"]]) for row in rows if row["review_id"] in planted]
    assert len(told) > 300
    # the stars of one review in twenty are reversed
    agree = np.mean([label == (sentiment == "positive") for label, sentiment in told if sentiment != "neutral"])
    assert agree == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(
    ("model", "label", "key", "at_least"),
    [
        ("train_payment_fraud", "is_fraud", "transacted_at", 0.65),
        ("train_unit_failure", "is_failing", "as_of", 0.8),
        ("train_review_sentiment", "is_positive", "reviewed_at", 0.85),
    ],
)
def test_the_features_tell_the_planted_signal(
    pharmacy: "Pharmacy", model: str, label: str, key: str, at_least: float
) -> None:
    # Given a training set, split by time, whose older labels were known before the newest fifth
    frame = read(pharmacy, model)
    left_out = {label, key, "as_of", "label_known_at", "fold", "hour_at"}
    features = frame[[name for name in frame if name not in left_out and not name.endswith("_id")]]
    features = features.apply(
        lambda values: values if values.dtype.kind in "fib" else values.astype("category").cat.codes
    )
    cut = frame[key].quantile(0.8)
    newer, older = frame[key] >= cut, frame["label_known_at"] <= cut
    fitted = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=0)
    fitted.fit(features[older].astype(float), frame[label][older])

    # Then a model of the older rows ranks the newer ones
    scores = fitted.predict_proba(features[newer].astype(float))[:, 1]
    assert roc_auc_score(frame[label][newer], scores) > at_least


def test_the_functions_return_the_rows_of_the_models(pharmacy: "Pharmacy") -> None:
    # Given the training set of churn by the default horizon, and by the function
    trained = {(row["customer_id"], row["as_of"]): row for row in pharmacy.rows("from train_customer_churn")}
    returned = {(row["customer_id"], row["as_of"]): row for row in pharmacy.rows("from churn_training_set(120)")}
    shared = trained.keys() & returned.keys()
    assert len(shared) > 0.9 * len(trained)

    # Then labels and features are the same, and no training row has a label that was not known at the first test row
    columns = [name for name in next(iter(trained.values())) if name != "label_known_at"]
    assert all(trained[key][name] == returned[key][name] for key in shared for name in columns)
    first = min(row["as_of"] for row in returned.values() if row["split"] == "test")
    assert max(row["label_known_at"] for row in returned.values() if row["split"] == "train") <= first
    assert {row["split"] for row in returned.values()} == {"train", "test", "gap"}

    # And the labels of payments as of a past moment were known then
    moment = datetime(2025, 12, 1)
    past: list[dict[str, Any]] = pharmacy.rows(f"from fraud_training_set(timestamp '{moment}')")
    assert max(row["label_known_at"] for row in past) <= moment
    assert max(row["transacted_at"] for row in past) <= moment - timedelta(days=60)
    assert {row["is_fraud"] for row in past} == {True, False}
    seen = pharmacy.rows("from customer_features_as_of(date '2025-06-30')")
    assert {row["customer_id"] for row in seen} >= {name for name, as_of in trained if as_of == datetime(2025, 6, 30)}
