"""A training set with a leak or a bias put in on purpose is stopped by the gate that is there for it."""

import copy
from datetime import datetime, timedelta
from typing import Any

from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

MODEL = "model.ml_warehouse.train_customer_churn"
TABLE = "machine_learning.train_customer_churn"
FUTURE, ALLOWED = "train_customer_churn__no_row_knows_the_future", "train_customer_churn__features_are_allowed"
TOO_WELL, ONE_CLASS = (
    "train_customer_churn__no_feature_knows_the_label",
    "train_customer_churn__each_age_has_both_classes",
)
ROWS = 3_000
YOUNG = "as_of > (select max(as_of) - interval 60 day from machine_learning.train_customer_churn)"

HARMS = {
    "update {table} set label_known_at = as_of - interval 1 microsecond where customer_id = '7'": {FUTURE: 1},
    "update {table} set label_known_at = as_of where customer_id = '7'": {},
    "update {table} set customer_days_since_last_order = -0.01 where customer_id in ('7', '8')": {FUTURE: 2},
    # Recency against a rule of churn
    "update {table} set customer_days_since_last_order = 60 + if(is_churned, 1, -1) * (1 + mod(fold, 3))": {
        TOO_WELL: 1
    },
    # A feature that is known after one of the outcomes only, and one that says the contrary of the label
    "update {table} set customer__rating_min_90d = if(is_churned, null, 3)": {TOO_WELL: 1},
    "update {table} set customer__has_marketing_consent = not is_churned": {TOO_WELL: 1},
    "update {table} set customer__country = if(is_churned, 'AT', 'CH')": {TOO_WELL: 1},
    # One in eight is wrong: a strong feature, and no leak
    "update {table} set customer__has_marketing_consent = is_churned = (mod(cast(customer_id as integer), 8) > 0)": {},
    # Young rows that have a label only if they churned
    f"delete from {{table}} where not is_churned and {YOUNG}": {ONE_CLASS: 3},
    f"delete from {{table}} where is_churned and {YOUNG}": {ONE_CLASS: 3},
}


def fill(warehouse: Warehouse, manifest: Manifest) -> None:
    """Make a training set of noise: a year of customers, of whom every third churned."""
    columns = manifest.nodes[MODEL].columns.values()
    values = {
        "varchar": "'country ' || number % 7",
        "boolean": "number % 5 = 0",
        "double": "cast(number * 7919 % 1009 as double)",
        "integer": "number * 7919 % 13",
    }
    own = {
        "customer_id": "cast(number as varchar)",
        "is_churned": "number * 31 % 97 < 33",
        "as_of": "timestamp '2025-01-01' + to_hours(cast(number * 3 as bigint))",
        "label_known_at": "timestamp '2025-05-01' + to_hours(cast(number * 3 as bigint))",
        "fold": "number % 5",
    }
    chosen = ", ".join(
        f"cast({own.get(column.name) or values[str(column.data_type)]} as {column.data_type}) as {column.name}"
        for column in columns
    )
    with warehouse.connect() as connection:
        connection.execute("create schema if not exists machine_learning")
        connection.execute(f"create or replace table {TABLE} as select {chosen} from range({ROWS}) as r (number)")


def gates(warehouse: Warehouse, *selected: str) -> dict[str, str]:
    """Run the data tests of the training model once, and return the query of each by its name."""
    tested: Any = warehouse.dbt(Lake(), "test", "--exclude", "test_type:unit", "--select", *selected)
    assert tested.result, tested.exception
    return {one.node.name: one.node.compiled_code for one in tested.result if one.node.resource_type == "test"}


def test_each_leak_or_bias_that_is_put_in_is_caught_and_noise_is_not(
    incremental: Warehouse, manifest: Manifest
) -> None:
    # Given a training set of noise, which passes
    fill(incremental, manifest)
    queries = gates(incremental, "train_customer_churn")

    def found() -> dict[str, int]:
        failing = {name: len(incremental.rows(query)) for name, query in queries.items()}
        return {name: count for name, count in failing.items() if count}

    assert {FUTURE, ALLOWED, TOO_WELL, ONE_CLASS} <= queries.keys()
    assert found() == {}

    for harm, expected in HARMS.items():
        # When something is put in, then its gate says so, and no other
        fill(incremental, manifest)
        with incremental.connect() as connection:
            connection.execute(harm.format(table=TABLE))
        assert found() == expected, harm


def test_identifiers_personal_columns_and_views_of_today_are_refused(
    incremental: Warehouse, manifest: Manifest
) -> None:
    # Given a training model of which features, or what it reads, are changed: columns are personal here or elsewhere
    changed = copy.deepcopy(manifest)
    columns, reads = changed.nodes[MODEL].columns, changed.nodes[MODEL].depends_on.nodes
    columns["customer__country"].config.meta["pii"] = "country"
    scored = changed.nodes["model.ml_warehouse.score_customer_churn"]
    scored.columns["customer__rating_min_90d"].config.meta["phi"] = "place"

    # And there are an identifier and a time
    columns["household_id"] = copy.deepcopy(columns["customer__order_count_30d"])
    columns["household_id"].name = "household_id"
    columns["customer_days_since_last_order"].data_type = "timestamp"

    # And views of today are read, by itself, by a step, and by the label, which may look back
    reads.append("model.ml_warehouse.customer_360")
    step = changed.nodes["model.ml_warehouse.int_order_events_listed"]
    step.depends_on.nodes.append("model.ml_warehouse.fct_orders")
    label = changed.nodes["model.ml_warehouse.label_customer_churn"]
    label.depends_on.nodes.append("model.ml_warehouse.customer_lifetime_values")
    changed.build_flat_graph()
    incremental.manifest = changed

    # When its features are tested
    queries = gates(incremental, ALLOWED)

    # Then each refusal names the feature or model, and says why
    today = "it shows the present, which knows what came after the label"
    assert dict(incremental.rows(queries[ALLOWED])) == {
        "customer__country": "it is personal: country",
        "customer__rating_min_90d": "it is personal: place",
        "household_id": "it is an identifier, so a model would learn rows by heart",
        "customer_days_since_last_order": "it is a time; take the duration up to the time of the row",
        "customer_360": today,
        "fct_orders": today,
    }


def test_a_label_that_is_known_before_its_horizon_is_over_is_caught(incremental: Warehouse, manifest: Manifest) -> None:
    # Given payments whose label is known after 59 and 60 days, where it takes 60 to mature
    node = manifest.nodes["model.ml_warehouse.train_payment_fraud"]
    columns = ", ".join(f"cast(null as {column.data_type}) as {column.name}" for column in node.columns.values())
    own = "transaction_id, is_fraud, transacted_at, label_known_at"
    made = datetime(2026, 1, 1)
    with incremental.connect() as connection:
        connection.execute("create schema if not exists machine_learning")
        connection.execute(f"create table machine_learning.train_payment_fraud as select {columns} limit 0")
        for name, days in (("early", 59), ("mature", 60)):
            connection.execute(
                f"insert into machine_learning.train_payment_fraud ({own}) values (?, false, ?, ?)",
                [name, made, made + timedelta(days=days)],
            )

    # When it is tested, then the early label alone is of the future
    (query,) = gates(incremental, "train_payment_fraud__no_row_knows_the_future").values()
    assert incremental.rows(query) == [("early", "its label was known before the horizon of 60d was over")]
