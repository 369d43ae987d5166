"""The documented training sets teach what a model can use: both classes at each age, a whole horizon, real causes."""

import csv
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from dbt.contracts.graph.manifest import Manifest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from flows.config.settings import PROJECT

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

CAUSES = ("late parcel", "cancelled order", "price rise", "bad review")
DISAPPOINTMENTS = """
    with prices as (
        select product_id, currency, date_trunc('month', ordered_at) as month, arg_max(unit_price, ordered_at) as price
        from core.fct_order_lines where unit_price > 0 and not is_return group by all
    ),
    prices_before as (
        select *, lag(price) over (partition by product_id, currency order by month) as price_before from prices
    )
    select customer_id, 'late parcel' as cause, valid_from as felt_at from core.fct_order_status_changes
    where order_status = 'completed' and valid_from > ordered_at + interval 7 days
    union all
    select customer_id, 'cancelled order', valid_from from core.fct_order_status_changes
    where order_status = 'cancelled'
    union all
    select lines.customer_id, 'price rise', lines.ordered_at from core.fct_order_lines as lines
    inner join prices_before on lines.product_id = prices_before.product_id
        and lines.currency = prices_before.currency and date_trunc('month', lines.ordered_at) = prices_before.month
    where lines.line_number = 1 and lines.unit_price >= 1.05 * prices_before.price_before
    union all
    select customer_id, 'bad review', reviewed_at from core.fct_reviews where rating = 1
"""
"""What may have annoyed a customer, from columns of the release, one row per customer, cause and time."""


def read_recipe(manifest: Manifest, model: str) -> str:
    """Return the query in the description of a model."""
    (recipe,) = re.findall(r"```sql\n(.*?)```", manifest.nodes[f"model.ml_warehouse.{model}"].description, re.DOTALL)
    return str(recipe)


def test_the_fraud_training_set_has_both_classes_at_each_age(pharmacy: "Pharmacy") -> None:
    # Given the training sets as of three days
    (latest,) = pharmacy.rows("select max(transacted_at) as day from core.fct_payments")
    days = [latest["day"] - timedelta(days=ago) for ago in (0, 60, 120)]
    ages = "date_diff('day', transacted_at, as_of)"

    def of_days(query: str) -> str:
        return " union all ".join(query.format(day=f"timestamp '{day}'") for day in days)

    training_sets = of_days("select {day} as as_of, * from fraud_training_set({day})")

    # Then each payment has a label, and no payment is younger than its label's maturity
    rows = pharmacy.rows(
        f"select as_of, count(*) as payments, count(is_fraud) as labels, min({ages}) as youngest "
        f"from ({training_sets}) group by as_of"
    )
    assert len(rows) == 3
    assert all(row["labels"] == row["payments"] > 500 and row["youngest"] >= 60 for row in rows)

    # And no age has frauds only: a quarter of a year has both, and few of its payments are fraud
    bands = pharmacy.rows(
        f"select as_of, ({ages} - 60) // 91 as quarter, avg(cast(is_fraud as integer)) as share "
        f"from ({training_sets}) group by all having count(*) > 300"
    )
    assert len(bands) > 6
    assert [band for band in bands if not 0 < band["share"] < 0.3] == []

    # And without waiting for maturity the youngest labelled payments of each day would all be frauds
    labels = of_days("select {day} as as_of, * from payment_fraud_labels_as_of({day}) where is_fraud is not null")
    young = pharmacy.rows(
        f"select avg(cast(is_fraud as integer)) as share, count(*) as n from ({labels}) where {ages} < 60"
    )[0]
    assert young["share"] == 1
    assert young["n"] > 2


def test_the_labels_as_of_a_day_that_are_mature_have_both_classes(pharmacy: "Pharmacy") -> None:
    # Given the labels of a past day, and of a payment whose fraud was known early
    labels = pharmacy.rows("from risk.payment_fraud_labels_as_of(as_of := timestamp '2026-01-10')")

    # Then the mature ones are all known, of both classes, and known frauds of young payments are not among them
    mature = [row for row in labels if row["is_mature"]]
    assert {row["is_fraud"] for row in mature} == {True, False}
    young = [row for row in labels if not row["is_mature"]]
    assert {row["is_fraud"] for row in young} == {True, None}


@pytest.fixture(scope="module")
def churn_rows(pharmacy: "Pharmacy", manifest: Manifest) -> list[dict[str, object]]:
    """The documented churn training set, with the days since the last order and what annoyed a customer lately."""
    felt = ", ".join(f"count(annoyed.cause) filter (annoyed.cause = '{cause}') > 0 as \"{cause}\"" for cause in CAUSES)
    return pharmacy.rows(f"""
        with training_set as ({read_recipe(manifest, "churn_states")}),
        annoyed as ({DISAPPOINTMENTS}),
        orders as (
            select training_set.*, max(fct_orders.ordered_date) as last_order_date, count(*) as order_count
            from training_set inner join core.fct_orders
                on training_set.customer_id = fct_orders.customer_id
                and fct_orders.is_sale and fct_orders.ordered_date < training_set.as_of_date
            group by all
        )
        select orders.*, as_of_date - last_order_date as recency_days, {felt}
        from orders left join annoyed
            on orders.customer_id = annoyed.customer_id
            and annoyed.felt_at >= as_of_date - 90 and annoyed.felt_at < as_of_date
        group by all order by orders.as_of_date, orders.customer_id
    """)


def test_the_documented_churn_label_looks_as_far_ahead_as_the_rules_need(
    pharmacy: "Pharmacy", churn_rows: list[dict[str, object]]
) -> None:
    # Given the longest wait of a rule for churn, in the project's defaults and in the release
    with (PROJECT / "seeds/default_churn_rules.csv").open() as file:
        rules = [rule for rule in csv.DictReader(file) if rule["is_churned"] == "true"]
    waits = [int(rule[f"minimum_days_since_{kind}"] or 1) for rule in rules for kind in ("order", "visit")]
    released = pharmacy.rows(
        "select greatest(max(minimum_days_since_order), max(minimum_days_since_visit)) as days from core.churn_rules "
        "where is_churned"
    )
    assert released == [{"days": max(waits)}]

    # Then the label lies so many days ahead
    horizons = {row["label_date"] - row["as_of_date"] for row in churn_rows}  # type: ignore[operator]
    assert horizons == {timedelta(days=max(waits))}

    # And customers who have just ordered may have churned by then: recency alone does not tell the label
    y = np.array([row["is_churned"] for row in churn_rows])
    recency = np.array([row["recency_days"] for row in churn_rows])
    assert 0.1 < y[recency < 30].mean() < 0.9
    assert 0.45 < roc_auc_score(y, recency) < 0.7


def test_a_model_finds_the_planted_causes_of_lapses_and_beats_recency(
    pharmacy: "Pharmacy", churn_rows: list[dict[str, object]]
) -> None:
    # Given the planted causes, and half of the customers to learn from
    planted = {row["cause"]: row for row in pharmacy.planted("lapse_causes")}
    assert set(planted) == set(CAUSES)
    assert all(row["lapse_permille"] >= 400 and row["lapse_count"] > 10 for row in planted.values())
    y = np.array([row["is_churned"] for row in churn_rows])
    recency = np.array([[int(row["recency_days"])] for row in churn_rows]) / 30  # type: ignore[call-overload]
    causes = np.array([[row[cause] for cause in CAUSES] for row in churn_rows], dtype=float)
    orders = np.log([[row["order_count"]] for row in churn_rows])  # type: ignore[list-item]
    learns = np.array([int(str(row["customer_id"])) % 2 == 0 for row in churn_rows])

    # When one model learns from recency alone, and another one from the causes too
    def score(*features: np.ndarray) -> float:
        x = np.hstack(features)
        model = LogisticRegression(C=100).fit(x[learns], y[learns])
        return float(roc_auc_score(y[~learns], model.predict_proba(x[~learns])[:, 1]))

    # Then each cause makes churn more likely, and the model with the causes is better on the other customers
    found = LogisticRegression(C=100).fit(np.hstack([causes, recency, orders]), y).coef_[0]
    assert {cause: weight > 0.2 for cause, weight in zip(CAUSES, found, strict=False)} == dict.fromkeys(CAUSES, True)
    assert score(recency, orders, causes) > score(recency) + 0.02
