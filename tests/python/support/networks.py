"""The measures of networkx, a second way to those of the warehouse."""

from collections.abc import Iterable
from typing import Any

import networkx
import pytest

Row = dict[str, Any]


def graph_of(is_directed: bool, nodes: Iterable[str], edges: Iterable[Row]) -> networkx.Graph:
    """Build a graph from nodes and edges in the form of the warehouse."""
    graph = networkx.DiGraph() if is_directed else networkx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_weighted_edges_from((edge["from_node_id"], edge["to_node_id"], edge["weight"]) for edge in edges)
    return graph


def require_equal(graph: networkx.Graph, measures: dict[str, Row]) -> None:
    """Compare all measures with those of networkx: exactly, except PageRank, which is a limit."""
    assert graph.number_of_nodes() == len(measures) > 0
    ranks = networkx.pagerank(graph, alpha=0.85, weight="weight", tol=1e-13, max_iter=1000)
    assert {node: row["page_rank"] for node, row in measures.items()} == pytest.approx(ranks, abs=1e-6)
    assert {node: row["page_rank"] for node, row in measures.items()} == pytest.approx(ranks, rel=1e-3)
    undirected = graph.to_undirected()
    components = {
        node: (min(component), len(component))
        for component in networkx.connected_components(undirected)
        for node in component
    }
    assert {node: (row["component_id"], row["component_size"]) for node, row in measures.items()} == components
    directed = graph.to_directed()
    for measure, found in {
        "in_degree": directed.in_degree(),
        "out_degree": directed.out_degree(),
        "in_weight": directed.in_degree(weight="weight"),
        "out_weight": directed.out_degree(weight="weight"),
    }.items():
        assert {node: row[measure] for node, row in measures.items()} == pytest.approx(dict(found), rel=1e-12)
    require_equal_triangles(undirected, measures)


def require_equal_triangles(undirected: networkx.Graph, measures: dict[str, Row]) -> None:
    """Compare neighbours, triangles and clustering coefficients; a node with one neighbour has no coefficient."""
    simple = networkx.Graph(undirected)
    simple.remove_edges_from(list(networkx.selfloop_edges(simple)))
    neighbours, clustering = dict(simple.degree()), networkx.clustering(simple)
    assert {node: row["neighbour_count"] for node, row in measures.items()} == neighbours
    assert {node: row["triangle_count"] for node, row in measures.items()} == networkx.triangles(simple)
    assert {node: row["clustering_coefficient"] for node, row in measures.items()} == {
        node: pytest.approx(share, rel=1e-12) if neighbours[node] > 1 else None for node, share in clustering.items()
    }
