"""The graph's measures are equal to those of networkx on the same edges."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from support.lake_by_hand import Lake, Warehouse
from support.networks import graph_of, require_equal

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

GRAPHS = ("referral", "bought_together", "used_device", "shared_device")
DIRECTED = {"referral"}
NOON = datetime(2026, 3, 1, 12)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_measures_are_those_of_networkx(pharmacy: "Pharmacy", name: str) -> None:
    # Given the pharmacy's edges of one kind, and its nodes, most of which have no edge
    edges = pharmacy.rows(f"from machine_learning.graph_edges where graph = '{name}'")
    rows = pharmacy.rows(f"from machine_learning.graph_measures where graph = '{name}'")
    labels = {"bought_together": ("product",), "used_device": ("customer", "device")}.get(name, ("customer",))
    nodes = pharmacy.rows("from machine_learning.graph_nodes")

    # When networkx analyses the same graph, then it gives the same measures
    graph = graph_of(name in DIRECTED, (node["node_id"] for node in nodes if node["node_label"] in labels), edges)
    assert len(edges) > 0
    require_equal(graph, {row["node_id"]: row for row in rows})


def test_who_brought_whom_is_what_was_planted(pharmacy: "Pharmacy") -> None:
    # Given the referrers with the most referrals, and the number of all referrers
    planted = pharmacy.planted("referrals")

    # When they are searched in the graph
    edges = pharmacy.rows("from machine_learning.graph_edges where graph = 'referral'")
    brought = Counter(edge["to_node_id"].removeprefix("customer:") for edge in edges)

    # Then they are there, except for a few quarantined records of the CRM
    assert 0.97 * planted[0]["edge_count"] <= len(edges) <= planted[0]["edge_count"]
    assert 0.97 * planted[0]["referrer_count"] <= len(brought) <= planted[0]["referrer_count"]
    for row in planted:
        assert row["referred_customer_count"] - 2 <= brought[row["customer_id"]] <= row["referred_customer_count"]


def test_long_chains_circles_and_tills_are_no_trouble(incremental: Warehouse) -> None:
    # Given a chain of 60 referrals, a circle of three, single customers, and a device that all customers use
    brought = {f"C{number:03}": f"C{number - 1:03}" for number in range(1, 60)}
    brought |= {"X1": "X2", "X2": "X3", "X3": "X1", "C000": "nobody knows", "loner": None, "narcissus": "narcissus"}
    lake = Lake()
    lake.load(
        NOON,
        crm__customers=[
            {"customer_id": customer, "referred_by_customer_id": by, "updated_at": NOON}
            for customer, by in brought.items()
        ],
        payments__transactions=[
            {"transaction_id": f"{customer}/{device}", "customer_id": customer, "device_id": device,
             "amount": 1, "currency": "EUR", "transacted_at": NOON}
            for customer in brought
            for device in ("till", customer.removesuffix("1").removesuffix("2"))
        ],
    )  # fmt: skip

    # When the graph is built
    incremental.build(lake, "--select", "+graph_measures")
    with incremental.connect() as warehouse:
        edges = warehouse.sql("from machine_learning.graph_edges").to_arrow_table().to_pylist()
        rows = warehouse.sql("from machine_learning.graph_measures").to_arrow_table().to_pylist()

    # Then networkx gives the same measures, and the common device connects no customers
    for name in ("referral", "shared_device"):
        measures = {row["node_id"]: row for row in rows if row["graph"] == name}
        require_equal(graph_of(name in DIRECTED, measures, (edge for edge in edges if edge["graph"] == name)), measures)
    sizes = {(row["graph"], row["node_id"]): row["component_size"] for row in rows}
    assert sizes["referral", "customer:C031"] == 60
    assert sizes["referral", "customer:X2"] == 3
    assert sizes["referral", "customer:loner"] == sizes["referral", "customer:narcissus"] == 1
    assert max(size for (graph, _), size in sizes.items() if graph == "shared_device") == 2
    assert sizes["used_device", "device:till"] > len(brought)


def test_without_sources_there_is_no_edge(incremental: Warehouse) -> None:
    # Given no edges, when the graph is built, then it is empty
    incremental.build(Lake(), "--select", "+graph_measures")
    for table in ("graph_nodes", "graph_edges", "graph_measures"):
        assert incremental.rows(f"from machine_learning.{table}") == []
