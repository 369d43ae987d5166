"""The warehouse finds the truth that was planted in the demo, and the queries of the docs run on it."""

import re
from typing import TYPE_CHECKING

from dbt.contracts.graph.manifest import Manifest

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

QUERY = re.compile(r"```sql\n(.*?)```", re.DOTALL)


NOT_OF_THE_DEMO = {
    *("subscription_months", "revolving_credit_histories", "graph_edge_states"),
    *(f"{kind}_{of}" for kind in ("label", "train", "score") for of in ("subscription_churn", "account_default")),
    *("prediction_changes", "model_drift"),
}
"""Marts of sources that the pharmacy does not have, and those of predictions, which need a trained model."""


def test_the_query_in_a_marts_description_runs_and_finds_something(pharmacy: "Pharmacy", manifest: Manifest) -> None:
    shown = {node.name: QUERY.findall(node.description) for node in manifest.nodes.values() if "marts" in node.fqn}
    shown = {name: queries for name, queries in shown.items() if name not in NOT_OF_THE_DEMO}
    found = {name: len(pharmacy.rows(query)) for name, queries in shown.items() for query in queries}
    assert [name for name, rows in found.items() if rows == 0] == []
